"""What has happened, and who hears of it: the table event -> subscribers (HOUSE, «Notification»)."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from app import logs
from app.extensions import db
from app.models import OutboxMessage


@dataclass(frozen=True)
class PostPublished:
    """A post can be read by everybody."""

    post_id: int


@dataclass(frozen=True)
class Notified:
    """A mail is due to a user."""

    notification_id: int


@dataclass(frozen=True)
class StatisticsDue:
    """Statistics are to be computed anew."""

    refresh_id: int


Event = PostPublished | Notified | StatisticsDue

# Each name is a task in `app/tasks/`; a test compares the two.
SUBSCRIBERS: dict[type[Event], tuple[str, ...]] = {
    PostPublished: ("notify_author", "notify_followers", "notify_admins"),
    Notified: ("send_mail",),
    StatisticsDue: ("refresh_statistics",),
}


def emit(event: Event) -> None:
    """Write one outbox row for each subscriber, in the transaction of the change: both are committed, or neither.

    The rows carry ids only. The relay publishes them after the commit.
    """
    event_id = uuid.uuid4().hex
    for subscriber in SUBSCRIBERS[type(event)]:
        about = {"event": type(event).__name__, "ids": asdict(event), "request_id": logs.request_id.get()}
        db.session.add(OutboxMessage(event_id=event_id, subscriber=subscriber, **about))
