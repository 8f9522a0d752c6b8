"""Profiles: a user as everybody sees him."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import User
from app.services import follows, users


@dataclass(frozen=True)
class Profile:
    """A user, how many follow him and how many he follows."""

    user: User
    followers: int
    following: int


def one(user_id: int) -> Profile:
    """The profile of this user: two statements.

    :raises NotFound: there is none.
    """
    return Profile(users.one(user_id), *follows.counts(user_id))
