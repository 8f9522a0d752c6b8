"""Digests: what waited for a user's morning, in one mail."""

from __future__ import annotations

import logging
from datetime import date, datetime, time, timedelta

from sqlalchemy import exists, func, literal, select, update

from app.events import DigestDue, emit
from app.extensions import db
from app.models import Digest, Notification, Preference
from app.models.base import Timestamp, now
from app.services import letters, notifications, preferences, recurrence
from app.services.atomic import atomic
from app.services.outbox import NotYet
from app.services.preferences import DAILY, IMMEDIATELY, WEEKLY
from app.services.upsert import inserting

MORNING = time(8)
AT_ONCE = 1000  # digests of a transaction: SQLite has one writer, which must not be kept waiting
# Who wants no digest any more gets what waits with the next morning.
_zone_of = func.coalesce(Preference.time_zone, "UTC")
_rhythm_of = func.coalesce(func.nullif(Preference.digest, IMMEDIATELY), DAILY)

log = logging.getLogger(__name__)


def gather() -> int:
    """Give all that waited for a morning that has come to a digest, one for each user and day; how many digests.

    By zone and rhythm, whoever many share them. Twice at once does no harm.
    """
    held = (
        select(_zone_of, _rhythm_of)
        .select_from(Notification)
        .outerjoin(Preference, Preference.user_id == Notification.user_id)
    )
    made = 0
    for zone, rhythm in db.session.execute(held.where(Notification.held).distinct()).all():
        if zone not in recurrence.zones():
            log.warning("the time zone %s is not known here: its digests come by UTC", zone)
        morning, last = last_morning(now(), zone, rhythm), AT_ONCE
        while last == AT_ONCE:
            last = _gather(zone, rhythm, *morning)
            made += last
    return made


def last_morning(at: datetime, zone: str, rhythm: str) -> tuple[date, datetime]:
    """The latest day, in this zone, whose morning has come by then (weekly: the latest Monday), and when it came."""
    day = recurrence.local(at, zone).date() + timedelta(days=1)
    while (came := _morning(day, zone)) > at or (rhythm == WEEKLY and day.weekday() != 0):
        day -= timedelta(days=1)
    return day, came


def _morning(day: date, zone: str) -> datetime:
    return recurrence.instant(datetime.combine(day, MORNING), zone)


def _gather(zone: str, rhythm: str, day: date, came: datetime) -> int:
    """Some of those for whom something waits since before that morning, and who have no digest of that day."""
    waiting = (
        select(Notification.user_id, literal(day), literal(now(), Timestamp))
        .outerjoin(Preference, Preference.user_id == Notification.user_id)
        .where(Notification.held, Notification.created_at < came, _zone_of == zone, _rhythm_of == rhythm)
        .where(~exists().where(Digest.user_id == Notification.user_id, Digest.day == day))
        .distinct()
        .order_by(Notification.user_id)  # in one order: two beats wait for each other once, and not in a circle
        .limit(AT_ONCE)
    )
    with atomic():
        new = inserting(Digest).from_select(["user_id", "day", "created_at"], waiting)
        ids = db.session.scalars(new.on_conflict_do_nothing().returning(Digest.id)).all()
        his = select(Digest.id).where(Digest.id.in_(ids), Digest.user_id == Notification.user_id)
        taken = update(Notification).where(Notification.held, exists(his))
        db.session.execute(
            taken.values(held=False, digest_id=his.scalar_subquery()), execution_options={"synchronize_session": False}
        )
        emit(*map(DigestDue, ids))
    return len(ids)


def send_digest(event_id: str, digest_id: int) -> None:
    """Send one mail of all that a digest has, but for what is not wanted any more; nothing is left: no mail. What is
    not listed is only counted.

    :raises OSError: the mail server did not take it.
    :raises NotYet: its user wants to be left alone now.
    """
    its = Notification.digest_id == digest_id
    wanted = notifications.mails().add_columns(func.count().over()).where(its).order_by(Notification.id)
    found = db.session.execute(wanted.limit(letters.MOST_LISTED)).all()
    if not found or not (address := found[0].User.email):
        return
    user = found[0].User
    if until := preferences.quiet_until(found[0].Preference, now()):
        raise NotYet(until)
    things = [(row.Notification.kind, notifications.words(user, *row[3:-1])) for row in found]
    letter = letters.digest(user.id, user.username, things, found[0][-1])
    notifications.deliver(address, letter, f"digest.{digest_id}.{event_id}", its)
