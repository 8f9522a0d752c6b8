"""Users: who writes and who reads."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now

ROLES = ("user", "admin")
DISPLAY_NAME_LENGTH = 80
BIO_LENGTH = 2000
URL_LENGTH = 2048


class User(Model):
    """An account. `username_key` is the name as it is compared (RFC 8265, UsernameCaseMapped); NULL once deleted."""

    __tablename__ = "users"
    __table_args__ = (
        bounded("username", 80),
        bounded("email", 254),
        bounded("mobile", 32),
        bounded("birth", 26),
        bounded("display_name", DISPLAY_NAME_LENGTH),
        bounded("bio", BIO_LENGTH),
        bounded("avatar_url", URL_LENGTH),
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        CheckConstraint("age BETWEEN 0 AND 150", name="age"),
        Index("ix_users_admins", "role"),
        Index("ix_users_email", func.lower(text("email"))),
        {"sqlite_autoincrement": True},  # an id is never given twice: tokens name it
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(80))
    username_key: Mapped[str | None] = mapped_column(String(240), unique=True)
    password_hash: Mapped[str] = mapped_column(String(72))
    role: Mapped[str] = mapped_column(String(10), default="user")
    email: Mapped[str | None] = mapped_column(String(254))
    mobile: Mapped[str | None] = mapped_column(String(32))
    age: Mapped[int | None]
    birth: Mapped[str | None] = mapped_column(String(26))
    display_name: Mapped[str | None] = mapped_column(String(DISPLAY_NAME_LENGTH))
    bio: Mapped[str | None] = mapped_column(String(BIO_LENGTH))
    avatar_url: Mapped[str | None] = mapped_column(String(URL_LENGTH))
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    disabled_at: Mapped[datetime | None] = mapped_column(Timestamp)
    deleted_at: Mapped[datetime | None] = mapped_column(Timestamp)

    @property
    def is_admin(self) -> bool:
        """Whether the role is `admin`."""
        return self.role == "admin"
