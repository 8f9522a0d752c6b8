"""How usernames are compared: RFC 8265."""

from __future__ import annotations

import precis_i18n
from sqlalchemy import func, select

from app.extensions import db
from app.models import User

LONGEST = 80  # characters, once normalised: some become three
_profile = precis_i18n.get_profile("UsernameCasePreserved")
_folded = precis_i18n.get_profile("UsernameCaseMapped")


def enforce(name: str) -> str:
    """The name as it is stored and shown (RFC 8265, UsernameCasePreserved).

    :raises ValueError: it is too long or has a character that no username may have (a space, a zero-width one).
    """
    enforced = str(_profile.enforce(name))
    if len(enforced) > LONGEST:
        raise ValueError("too long")
    return enforced


def key(name: str) -> str:
    """What is unique: `Admin`, `ADMIN` and `ａｄｍｉｎ` have one key (RFC 8265, UsernameCaseMapped)."""
    return str(_folded.enforce(name))


def owner(name: str) -> User | None:
    """The user whose name compares equal, or None."""
    try:
        wanted = key(name)
    except ValueError:
        return None
    return db.session.scalar(select(User).where(User.username_key == wanted, User.deleted_at.is_(None)))


def owner_of_mail(address: str) -> User | None:
    """The user who logs in by this address: the first that had it, since none is verified. Case does not count."""
    if "\x00" in address:  # PostgreSQL refuses it
        return None
    mail = func.lower(User.email) == func.lower(address)
    return db.session.scalar(select(User).where(mail, User.deleted_at.is_(None)).order_by(User.id).limit(1))
