"""What arrives in an inbox, for those who listen: each row once, however late its transaction commits.

A row has its id before it is committed: a smaller id may show after a larger one was told. So nobody remembers a
highest id; he remembers what he has told, and looks at all else.
"""

from __future__ import annotations

from array import array
from datetime import timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import selectinload

from app.extensions import db
from app.models import Notification
from app.services.posts import LIVE

REMEMBERED = (
    1000  # of the latest that were told: one that commits after so many later ones of its user is not looked for
)
LONGEST_TRANSACTION = timedelta(seconds=60)  # of ours: a worker's has some statements of five seconds at most


class Told:
    """What a listener knows.

    :ivar ids: told, or from before his time, ascending; nothing up to `floor` is looked at again.
    """

    def __init__(self, ids: list[int], floor: int) -> None:
        self.ids, self.floor = array("q", sorted(ids)), floor

    def add(self, ids: list[int]) -> None:
        """These are told now."""
        known = sorted({*self.ids, *ids})
        if len(known) > REMEMBERED:
            self.floor = known[-REMEMBERED - 1]
        self.ids = array("q", known[-REMEMBERED:])


def told_before(user_id: int, last_id: int | None) -> Told:
    """What a listener has been told who begins now or, where a last id is given, who was told up to that one.

    He cannot say what lay below it and was not yet committed: what is younger than LONGEST_TRANSACTION before it counts
    as not told, and is told once more. One statement.
    """
    rows = select(Notification.id, Notification.created_at).where(*_inbox(user_id))
    if last_id is not None:
        rows = rows.where(Notification.id <= last_id)
    found = db.session.execute(rows.order_by(Notification.id.desc()).limit(REMEMBERED)).all()
    floor = found[-1].id - 1 if len(found) == REMEMBERED else 0
    if last_id is not None and found:
        sure = found[0].created_at - LONGEST_TRANSACTION
        found = [row for row in found if row.id == last_id or row.created_at < sure]
    return Told([row.id for row in found], floor)


def untold(user_id: int, told: Told, most: int) -> list[Notification]:
    """The oldest of what is in an inbox and was not told, each with its post while that is published.

    One statement, and two more where there is something.
    """
    ids = select(Notification.id).where(*_inbox(user_id), Notification.id > told.floor).order_by(Notification.id)
    known = set(told.ids)
    new = [id for id in db.session.scalars(ids.limit(REMEMBERED + most)) if id not in known][:most]
    if not new:
        return []
    rows = select(Notification).where(Notification.id.in_(new)).options(selectinload(Notification.post.and_(LIVE)))
    return list(db.session.scalars(rows.order_by(Notification.id)))


def _inbox(user_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Notification.user_id == user_id, Notification.channel == "inbox")
