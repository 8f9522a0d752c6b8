"""Who follows whom."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, delete, func, select

from app.errors import Conflict
from app.events import UserFollowed, emit
from app.extensions import db
from app.models import Follow, User
from app.services import users
from app.services.atomic import atomic
from app.services.page import Page, Place


def follow(actor: User, user_id: int) -> None:
    """Hear of what this user publishes; who follows already goes on.

    :raises NotFound: there is no such user.
    :raises Conflict: it is the actor himself.
    """
    if actor.id == user_id:
        raise Conflict("You cannot follow yourself", code="oneself")
    with atomic():
        users.still_here(actor, alone=True)
        users.hold(user_id)
        if db.session.scalar(select(Follow.id).where(_pair(actor.id, user_id))) is None:
            db.session.add(Follow(follower_id=actor.id, followed_id=user_id))
            emit(UserFollowed(actor.id, user_id), event_id=_event_id(actor.id, user_id))


def _event_id(follower_id: int, followed_id: int) -> str:
    """The same whenever one follows the other: who leaves and comes back again and again is told of once."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"follow {follower_id} {followed_id}").hex


def unfollow(actor: User, user_id: int) -> None:
    """Hear of this user no more; who does not follow need not stop."""
    with atomic():
        db.session.execute(delete(Follow).where(_pair(actor.id, user_id)))


def followers(user_id: int, limit: int, cursor: Place | None, total: bool) -> Page:
    """Who follows this user, the latest first: two statements, and one for the total.

    :raises NotFound: there is no such user.
    """
    users.one(user_id)
    rows = select(User).join(Follow, Follow.follower_id == User.id).where(Follow.followed_id == user_id, users.LIVE)
    return Page.placed(rows, [(Follow.id, True)], limit=limit, cursor=cursor, total=total, sort="followers")


def following(user_id: int, limit: int, cursor: Place | None, total: bool) -> Page:
    """Whom this user follows, the latest first: two statements, and one for the total.

    :raises NotFound: there is no such user.
    """
    users.one(user_id)
    rows = select(User).join(Follow, Follow.followed_id == User.id).where(Follow.follower_id == user_id, users.LIVE)
    return Page.placed(rows, [(Follow.id, True)], limit=limit, cursor=cursor, total=total, sort="following")


def counts(user_id: int) -> tuple[int, int]:
    """How many follow this user, and how many he follows: one statement."""
    of, by = (
        select(func.count()).select_from(Follow).where(column == user_id).scalar_subquery()
        for column in (Follow.followed_id, Follow.follower_id)
    )
    followers, following = db.session.execute(select(of, by)).one()
    return followers, following


def _pair(follower_id: int, followed_id: int) -> ColumnElement[bool]:
    return (Follow.follower_id == follower_id) & (Follow.followed_id == followed_id)
