"""The only code that knows there is a cache."""

from app.caching.dependencies import POST, POSTS, PRIVATE, USER, USERS
from app.caching.extension import PRINCIPAL, CoherentCache

MINE = PRIVATE.of(PRINCIPAL)  # what is private to who asks
cache = CoherentCache()

__all__ = ["MINE", "POST", "POSTS", "USER", "USERS", "cache"]
