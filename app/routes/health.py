"""Health, outside the versions."""

from __future__ import annotations

from collections.abc import Callable

import redis
from flask import Flask, Response, current_app, jsonify
from sqlalchemy import text

from app.caching import triggers
from app.extensions import celery, db
from app.services import outbox

TIMEOUT_SECONDS = 1


def init_app(app: Flask) -> None:
    """Register the two addresses."""
    app.add_url_rule("/api/health/live", view_func=live)
    app.add_url_rule("/api/health/ready", view_func=ready)


def live() -> Response:
    """The process answers."""
    return _uncached({"status": "ok"})


def ready() -> tuple[Response, int]:
    """Each part by its name. Without the database nothing works: 503. Without another it is slower or late."""
    checks = {"database": _database, "cache": _cache, "broker": _broker, "delivery": _delivery}
    parts = {name: _state(check) for name, check in checks.items()}
    if parts["database"] == "down":
        return _uncached({"status": "down", "parts": parts}), 503
    status = "ok" if all(state == "ok" for state in parts.values()) else "degraded"
    return _uncached({"status": status, "parts": parts}), 200


def _state(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # whatever a driver raises, the answer is the same
        current_app.logger.warning("not ready: %s: %s", check.__name__, error)
        return "down"


def _database() -> str:
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        return "triggers differ" if triggers.faults(connection) else "ok"


def _cache() -> str:
    client = redis.from_url(
        current_app.config["CACHE_REDIS_URL"], socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )
    with client:
        client.ping()
    fault = current_app.extensions["coherence"].source.fault()
    return fault.partition(" -> ")[0] if fault else "ok"


def _broker() -> str:
    with celery.connection_for_write(connect_timeout=TIMEOUT_SECONDS) as connection:
        connection.ensure_connection(max_retries=0, timeout=TIMEOUT_SECONDS)
    return "ok"


def _delivery() -> str:
    """Relay and workers may be up and do nothing: the age of what waits tells."""
    return "ok" if outbox.oldest_seconds() <= outbox.LATE_SECONDS else "late"


def _uncached(content: dict[str, object]) -> Response:
    response = jsonify(content)
    response.headers["Cache-Control"] = "no-store"
    return response
