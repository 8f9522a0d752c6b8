"""Sessions: one for each login; the truth of what is revoked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, now


class Session(Model):
    """A login. `id` is the `jti` of its tokens, never a token itself.

    `rotation`: the number of the one refresh token that is good now; each use makes the next. `rotated_at`: when.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
    rotation: Mapped[int] = mapped_column(default=0, server_default="0")
    rotated_at: Mapped[datetime | None] = mapped_column(Timestamp)
