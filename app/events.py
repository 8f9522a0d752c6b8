"""What has happened, and who hears of it: the table event -> subscribers (HOUSE, «Notification»)."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from sqlalchemy import insert

from app import logs
from app.extensions import db
from app.models import OutboxMessage

EMITTED = "emitted"  # in `Session.info`: this transaction has something for the relay


@dataclass(frozen=True)
class PostPublished:
    """A post can be read by everybody."""

    post_id: int


@dataclass(frozen=True)
class FollowersDue:
    """Some of an author's followers are to hear of a post: those from this follow on."""

    post_id: int
    first_follow_id: int


@dataclass(frozen=True)
class PostDeletedByAdmin:
    """Somebody else than its author has put a post into the trash."""

    post_id: int


@dataclass(frozen=True)
class UserRegistered:
    """There is a new account."""

    user_id: int


@dataclass(frozen=True)
class UserFollowed:
    """Somebody wants to hear of a user."""

    follower_id: int
    followed_id: int


@dataclass(frozen=True)
class PasswordChanged:
    """An account has another password."""

    user_id: int


@dataclass(frozen=True)
class Notified:
    """A mail is due to a user."""

    notification_id: int


@dataclass(frozen=True)
class Warned:
    """A mail about the safety of his account is due to a user."""

    notification_id: int


@dataclass(frozen=True)
class DigestDue:
    """A mail of all that waited for a user's morning is due to him."""

    digest_id: int


@dataclass(frozen=True)
class StatisticsDue:
    """Statistics are to be computed anew."""

    refresh_id: int


@dataclass(frozen=True)
class WebhookDue:
    """A webhook is to be called, in this round of attempts."""

    delivery_id: int
    round: int


@dataclass(frozen=True)
class TodoDue:
    """Somebody is to be reminded of a todo."""

    todo_id: int
    reminder_id: int


Event = (
    PostPublished
    | FollowersDue
    | PostDeletedByAdmin
    | UserRegistered
    | UserFollowed
    | PasswordChanged
    | Notified
    | Warned
    | DigestDue
    | StatisticsDue
    | WebhookDue
    | TodoDue
)

# Each name is a task in `app/tasks/`; a test compares the two.
SUBSCRIBERS: dict[type[Event], tuple[str, ...]] = {
    PostPublished: ("notify_author", "notify_followers", "notify_admins", "notify_webhooks_of_post"),
    FollowersDue: ("notify_some_followers",),
    PostDeletedByAdmin: ("notify_author_of_deletion", "notify_webhooks_of_deletion"),
    UserRegistered: ("welcome", "notify_webhooks_of_registration"),
    UserFollowed: ("notify_followed", "notify_webhooks_of_follower"),
    PasswordChanged: ("notify_of_password",),
    Notified: ("send_mail",),
    Warned: ("send_warning",),
    DigestDue: ("send_digest",),
    StatisticsDue: ("refresh_statistics",),
    WebhookDue: ("post_webhook",),
    TodoDue: ("notify_of_todo",),
}


def emit(*events: Event, event_id: str | None = None) -> None:
    """Write one outbox row for each subscriber, in the transaction of the change: both are committed, or neither.

    The rows carry ids only. The relay publishes them after the commit.

    :param event_id: of the event that led to these: whoever has heard of it already is not told again.
    """
    rows = []
    for event in events:
        about = {"event_id": event_id or uuid.uuid4().hex, "event": type(event).__name__, "ids": asdict(event)}
        rows += [about | {"subscriber": name} for name in SUBSCRIBERS[type(event)]]
    if rows:
        db.session.execute(insert(OutboxMessage), [row | {"request_id": logs.request_id.get()} for row in rows])
        db.session.info[EMITTED] = True
