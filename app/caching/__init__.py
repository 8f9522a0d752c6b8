"""The only code that knows there is a cache."""

from app.caching.dependencies import POST, POSTS, USER, USERS
from app.caching.extension import CoherentCache

cache = CoherentCache()

__all__ = ["POST", "POSTS", "USER", "USERS", "cache"]
