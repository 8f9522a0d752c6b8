"""How much one principal may write in a minute (RateLimit header fields, IETF draft; HARDENING E12)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_limiter import RateLimitExceeded
from flask_limiter.util import get_remote_address

from app.errors import TooManyRequests
from app.extensions import limiter

log = logging.getLogger(__name__)
WINDOW_SECONDS = 60
STORE_TIMEOUT_SECONDS = 0.1
READS = ("GET", "HEAD")


def limited(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count a write of the present user, or of the address where nobody is known.

    :raises TooManyRequests: with Retry-After.
    """
    counted = limiter.shared_limit(_rate, scope="writes", key_func=_principal)(view)

    def within_limits(*args: Any, **kwargs: Any) -> Any:
        if request.method in READS:
            return view(*args, **kwargs)
        try:
            return counted(*args, **kwargs)
        except RateLimitExceeded:
            problem = TooManyRequests(f"At most {_rate()} writes")
            problem.headers["Retry-After"] = str(_left()[1])
            raise problem from None

    return within_limits


def init_app(app: Flask) -> None:
    """Bind the limiter; while its Redis is away each process counts on its own."""
    url = app.config["REDIS_URL"].replace("unix://", "redis+unix://", 1)
    app.config.update(
        RATELIMIT_STORAGE_URI=url,
        RATELIMIT_STORAGE_OPTIONS={
            "socket_timeout": STORE_TIMEOUT_SECONDS,
            "socket_connect_timeout": STORE_TIMEOUT_SECONDS,
        },
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_KEY_PREFIX="broadsheet",
    )
    limiter.init_app(app)
    # Decorated views count by themselves; before each request it would look for limits that we do not have.
    app.before_request_funcs[None].remove(limiter._check_request_limit)
    app.after_request(_tell)


def _rate() -> str:
    return f"{current_app.config['WRITES_PER_MINUTE']} per minute"


def _principal() -> str:
    principal = g.get("principal")
    return f"user:{principal.user_id}" if principal else f"address:{get_remote_address()}"


def _left() -> tuple[int, int]:
    """How many writes are left, and the seconds until all are. Asks the store, which may have gone since it counted."""
    try:
        limit = limiter.current_limit
        if limit is None:
            return 0, WINDOW_SECONDS
        return max(0, limit.remaining), min(WINDOW_SECONDS, max(1, math.ceil(limit.reset_at - time.time())))
    except Exception as error:  # whatever the store's driver raises: the write is done and must be answered
        log.warning("the store of the limits does not answer: %s", error)
        return 0, WINDOW_SECONDS


def _tell(response: Response) -> Response:
    """Every counted answer says what is left."""
    if limit := limiter.current_limit:
        remaining, seconds = _left()
        response.headers["RateLimit-Policy"] = f'"writes";q={limit.limit.amount};w={WINDOW_SECONDS}'
        response.headers["RateLimit"] = f'"writes";r={remaining};t={seconds}'
    return response
