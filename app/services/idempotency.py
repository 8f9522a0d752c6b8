"""Idempotency keys (IETF draft-ietf-httpapi-idempotency-key-header): a POST that is sent twice is done once.

Both calls stand inside one `atomic()`, with the write between them: the answer is kept exactly if the write is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, text

from app.errors import Conflict, FieldError, Invalid
from app.extensions import db
from app.models import IdempotencyKey
from app.models.base import now

KEPT = timedelta(hours=24)
HEADER = "Idempotency-Key"


def begin(user_id: int, key: str, fingerprint: str) -> IdempotencyKey | None:
    """What the first request under this key was answered with; None: this is the first.

    On SQLite, with its one writer, whoever comes while the first runs waits for it and gets its answer.

    :raises Conflict: the first still runs.
    :raises Invalid: the first was another request.
    """
    if db.session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, :user_id))")
        if not db.session.scalar(lock, {"key": key, "user_id": user_id}):
            raise Conflict("The first request under this Idempotency-Key is still running", code="still_running")
    mine = IdempotencyKey.user_id == user_id
    db.session.execute(delete(IdempotencyKey).where(mine, IdempotencyKey.created_at < now() - KEPT))
    kept: IdempotencyKey | None = db.session.scalar(select(IdempotencyKey).where(mine, IdempotencyKey.key == key))
    if kept is not None and kept.fingerprint != fingerprint:
        used = FieldError(HEADER, "reused", "Was used for another request")
        raise Invalid("This Idempotency-Key was used for another request", errors=(used,))
    return kept


def keep(user_id: int, key: str, fingerprint: str, status: int, headers: dict[str, Any], body: bytes) -> None:
    """Keep the answer for who sends the same again within 24 hours."""
    answer = {"status": status, "headers": headers, "body": body}
    db.session.add(IdempotencyKey(user_id=user_id, key=key, fingerprint=fingerprint, **answer))
