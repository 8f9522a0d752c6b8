"""Logging in, and whether a session still lives."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

from sqlalchemy import select, update

from app.errors import Unauthorized
from app.extensions import db
from app.models import Session, User
from app.models.base import now
from app.services import passwords, usernames
from app.services.atomic import atomic, end_read

GRACE = timedelta(seconds=10)

log = logging.getLogger(__name__)


def login(username: str, password: str, lifetime: timedelta, *, by_mail: bool = False) -> Session:
    """Begin a session. `by_mail`: what is no username may be the mail address of one.

    :raises Unauthorized: unknown name, wrong password or disabled account, which all look alike.
    """
    user = usernames.owner(username) or (usernames.owner_of_mail(username) if by_mail else None)
    user_id = user.id if user else None
    known = user.password_hash if user and user.disabled_at is None else None
    end_read()  # no transaction stays open while bcrypt works
    if not passwords.matches(password, known):
        raise Unauthorized("Invalid credentials", code="invalid_credentials")
    with atomic():
        user = db.session.scalar(select(User).where(User.id == user_id).with_for_update(read=True))
        if user is None or user.password_hash != known or user.disabled_at or user.deleted_at:  # while bcrypt worked
            raise Unauthorized("Invalid credentials", code="invalid_credentials")
        return begin(user.id, lifetime)


def begin(user_id: int, lifetime: timedelta) -> Session:
    """Begin a session of a user who has just proved who he is."""
    with atomic():
        session = Session(id=uuid.uuid4().hex, user_id=user_id, expires_at=_whole_seconds(now() + lifetime))
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
        raise _revoked()
    return user


def rotate(user_id: int, session_id: str, rotation: int) -> Session:
    """Take a refresh token of this rotation and make the session's next one (RFC 9700 §4.14).

    A token that was used before tells of a thief: the whole session ends. But for GRACE after its use it is answered
    as the first time: the answer may have been lost, or two windows of one browser asked at once.

    :raises Unauthorized: `revoked_token`.
    """
    with atomic():
        wanted = select(Session).where(Session.id == session_id, Session.user_id == user_id)
        session = db.session.scalar(wanted.with_for_update())
        user = db.session.get(User, user_id)
        good = session is not None and session.revoked_at is None and session.expires_at > now()
        if session is None or user is None or not good or user.disabled_at or user.deleted_at:
            raise _revoked()
        lost = session.rotated_at is not None and now() - session.rotated_at <= GRACE
        if rotation == session.rotation:
            session.rotation, session.rotated_at = rotation + 1, now()
        elif not (rotation == session.rotation - 1 and lost):
            session.revoked_at = now()
    if session.revoked_at is not None:
        log.warning("a refresh token was used twice: session %s of user %s ends", session_id, user_id)
        raise _revoked()
    return session


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


def _revoked() -> Unauthorized:
    return Unauthorized("Token has been revoked", code="revoked_token")


def _whole_seconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)
