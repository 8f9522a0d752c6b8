"""What was imported: which post came from which file."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now
from app.models.post import PATH_LENGTH


class Imported(Model):
    """A post that came from a file. `fingerprint`: of what the file said, to see whether it has changed since."""

    __tablename__ = "imported"
    __table_args__ = (bounded("source", PATH_LENGTH), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(PATH_LENGTH), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"), index=True)
    imported_at: Mapped[datetime] = mapped_column(Timestamp, default=now, onupdate=now)
