"""What arrives in an inbox, for those who listen: each row once, however late its transaction commits.

A row has its id before it is committed: a smaller id may show after a larger one was told, so a highest id is not
enough to remember. But no row is committed more than SETTLED_AFTER after it got its id: what lies below a row of that
age is all there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from app.extensions import db
from app.models import Notification
from app.models.base import now
from app.services.posts import LIVE

SETTLED_AFTER = timedelta(seconds=60)  # a worker's transaction has some statements, of five seconds at most


class Told:
    """What a listener knows: all up to `floor`, and the ids in `young` above it."""

    def __init__(self, floor: int, young: set[int]) -> None:
        self.floor, self.young = floor, young

    def add(self, rows: list[Notification]) -> None:
        """These are told by now: all that there are above `floor`, up to the last of them."""
        sure = now() - SETTLED_AFTER
        self.floor = max((row.id for row in rows if row.created_at < sure), default=self.floor)
        self.young = {id for id in (*self.young, *(row.id for row in rows)) if id > self.floor}


def told_before(user_id: int, last_id: int | None) -> Told:
    """What a listener has been told who begins now or, where a last id is given, who was told up to that one.

    Such a one cannot say what lay below it and was not committed yet: what is little older counts as not told, and is
    told once more. Two statements.
    """
    rows, sure = _inbox(user_id), now() - SETTLED_AFTER
    if last_id is not None:
        rows = rows.where(Notification.id <= last_id)
        latest = db.session.scalar(rows.order_by(Notification.id.desc()).limit(1))
        sure = latest.created_at - SETTLED_AFTER if latest else sure
    settled = rows.where(Notification.created_at < sure).with_only_columns(func.max(Notification.id))
    floor = db.session.scalar(settled) or 0
    if last_id is not None:
        return Told(floor, {latest.id for latest in [latest] if latest and latest.id == last_id})
    young = rows.where(Notification.id > floor).with_only_columns(Notification.id)
    return Told(floor, set(db.session.scalars(young)))


def untold(user_id: int, told: Told, most: int) -> tuple[list[Notification], list[Notification]]:
    """The oldest of what is in an inbox and was not told, each with its post while that is published, and all that is
    told once they are, as `Told.add()` takes it: one statement.
    """
    rows = _inbox(user_id).where(Notification.id > told.floor).options(joinedload(Notification.post.and_(LIVE)))
    some = rows.order_by(Notification.id).limit(len(told.young) + most)
    read = list(db.session.scalars(some))
    new = [row for row in read if row.id not in told.young][:most]
    return new, [row for row in read if row.id <= new[-1].id] if len(new) == most else read


def _inbox(user_id: int) -> Select[Any]:
    return select(Notification).where(Notification.user_id == user_id, Notification.channel == "inbox")
