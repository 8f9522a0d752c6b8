"""Logging in, and whether a session still lives."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import select, update

from app.errors import Unauthorized
from app.extensions import db
from app.models import Session, User
from app.models.base import now
from app.services import passwords, usernames
from app.services.atomic import atomic, end_read


def login(username: str, password: str, lifetime: timedelta) -> Session:
    """Begin a session.

    :raises Unauthorized: unknown name, wrong password or disabled account, which all look alike.
    """
    user = usernames.owner(username)
    user_id = user.id if user else None
    known = user.password_hash if user and user.disabled_at is None else None
    end_read()  # no transaction stays open while bcrypt works
    if not passwords.matches(password, known):
        raise Unauthorized("Invalid credentials", code="invalid_credentials")
    with atomic():
        user = db.session.scalar(select(User).where(User.id == user_id).with_for_update(read=True))
        if user is None or user.password_hash != known or user.disabled_at or user.deleted_at:  # while bcrypt worked
            raise Unauthorized("Invalid credentials", code="invalid_credentials")
        session = Session(id=uuid.uuid4().hex, user_id=user.id, expires_at=_whole_seconds(now() + lifetime))
        db.session.add(session)
    return session


def actor(user_id: int, session_id: str) -> User:
    """The user of a living session, read from the database: one statement.

    :raises Unauthorized: `revoked_token` when the session has ended or the account is disabled or gone.
    """
    living = (
        select(User)
        .join(Session, Session.user_id == User.id)
        .where(User.id == user_id, User.deleted_at.is_(None), User.disabled_at.is_(None))
        .where(Session.id == session_id, Session.revoked_at.is_(None))
    )
    user: User | None = db.session.scalar(living)
    if user is None:
        raise Unauthorized("Token has been revoked", code="revoked_token")
    return user


def revoke(session_id: str) -> None:
    """End a session: its tokens are refused from now on."""
    with atomic():
        db.session.execute(update(Session).where(Session.id == session_id).values(revoked_at=now()))


def revoke_all(user_id: int, keep: str | None = None) -> None:
    """End all sessions of a user but the one to keep."""
    with atomic():
        ended = update(Session).where(Session.user_id == user_id, Session.revoked_at.is_(None))
        if keep is not None:
            ended = ended.where(Session.id != keep)
        db.session.execute(ended.values(revoked_at=now()))


def _whole_seconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)
