"""The only code that knows there is a cache."""

from app.caching.dependencies import FOLLOW, POST, POSTS, PRIVATE, STATISTICS, USER, USERS
from app.caching.extension import PRINCIPAL, CoherentCache
from app.caching.front import Front
from app.caching.variant import Validated

MINE = PRIVATE.of(PRINCIPAL)  # what is private to who asks
cache = CoherentCache()

__all__ = [
    "FOLLOW",
    "MINE",
    "POST",
    "POSTS",
    "STATISTICS",
    "USER",
    "USERS",
    "Front",
    "Validated",
    "cache",
]
