"""Who is told what: rows of the inbox, and mails. Everything here may run twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    ScalarSelect,
    Select,
    bindparam,
    exists,
    func,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy.orm import aliased, selectinload

from app.errors import NotFound
from app.events import FollowersDue, Notified, Warned, emit
from app.extensions import db
from app.models import Follow, Notification, Post, Preference, Todo, TodoReminder, User
from app.models.base import now
from app.services import letters, mail, preferences, recurrence, reminders
from app.services.atomic import atomic, end_read
from app.services.outbox import NotYet
from app.services.page import Page, Place
from app.services.posts import LIVE
from app.services.preferences import PROMPT, SECURITY
from app.services.upsert import inserting

AT_ONCE = 1000  # followers told in one transaction: SQLite has one writer, which must not be kept waiting
POST_PUBLISHED, NEW_POST, POST_DELETED = "post_published", "new_post", "post_deleted"
WELCOME, NEW_FOLLOWER, PASSWORD_CHANGED = "welcome", "new_follower", "password_changed"
TODO_DUE = "todo_due"
OF_LIVE_POSTS = {POST_PUBLISHED, NEW_POST}
LISTENING = (User.deleted_at.is_(None), User.disabled_at.is_(None))


def notify_author(event_id: str, post_id: int) -> None:
    """Tell a post's author that it is published, if it still is."""
    _tell(event_id, _author(post_id, LIVE), POST_PUBLISHED, post_id=post_id)


def notify_admins(event_id: str, post_id: int) -> None:
    """Tell the admins, but for the author himself, of a new post, if it is still published."""
    others = select(User).where(User.role == "admin", User.id != _author_id(post_id, LIVE))
    _tell(event_id, others, NEW_POST, post_id=post_id)


def notify_followers(event_id: str, post_id: int) -> None:
    """Tell those who follow a post's author that it is published; where they are many, by a message for every AT_ONCE.

    Each of those is a transaction with attempts of its own: whatever dies, what was written stays written.
    """
    rank = func.row_number().over(order_by=Follow.id)
    ranked = _follows(post_id).with_only_columns(Follow.id, rank.label("rank")).subquery()
    firsts = list(db.session.scalars(select(ranked.c.id).where(ranked.c.rank % AT_ONCE == 1).order_by(ranked.c.id)))
    if len(firsts) == 1:
        notify_some_followers(event_id, post_id, firsts[0])
    elif firsts:
        with atomic():
            emit(*(FollowersDue(post_id, first) for first in firsts), event_id=event_id)


def notify_some_followers(event_id: str, post_id: int, first_follow_id: int) -> None:
    """Tell AT_ONCE of those who follow a post's author, from this follow on."""
    some = _follows(post_id).where(Follow.id >= first_follow_id).order_by(Follow.id).limit(AT_ONCE)
    # By number, not by a subquery: PostgreSQL, where its statistics are old, then compares each user with each of them.
    ids = db.session.scalars(some.with_only_columns(Follow.follower_id)).all()
    _tell(event_id, select(User).where(User.id.in_(ids)), NEW_POST, post_id=post_id)


def notify_author_of_deletion(event_id: str, post_id: int) -> None:
    """Tell a post's author that an admin has deleted it."""
    _tell(event_id, _author(post_id), POST_DELETED, post_id=post_id)


def welcome(event_id: str, user_id: int) -> None:
    """Greet who has registered."""
    _tell(event_id, select(User).where(User.id == user_id), WELCOME)


def notify_followed(event_id: str, follower_id: int, followed_id: int) -> None:
    """Tell a user who follows him now."""
    _tell(event_id, select(User).where(User.id == followed_id), NEW_FOLLOWER, actor_id=follower_id)


def notify_of_password(event_id: str, user_id: int) -> None:
    """Warn a user that his account has another password."""
    _tell(event_id, select(User).where(User.id == user_id), PASSWORD_CHANGED)


def notify_of_todo(event_id: str, todo_id: int, reminder_id: int) -> None:
    """Remind a user of a todo, unless it is done or has been moved since."""
    owner = select(Todo.user_id).where(TodoReminder.id == reminder_id, reminders.STANDING).scalar_subquery()
    _tell(event_id, select(User).where(User.id == owner), TODO_DUE, todo_id=todo_id)


def inbox(actor: User, limit: int, cursor: Place | None, total: bool, unread: bool | None) -> Page:
    """What the actor was told, the latest first, each with its post while that is published.

    Two statements, and one for the total.
    """
    rows = select(Notification).where(_inbox_of(actor)).options(selectinload(Notification.post.and_(LIVE)))
    if unread is not None:
        rows = rows.where(Notification.read_at.is_(None) if unread else Notification.read_at.is_not(None))
    return Page.placed(rows, [(Notification.id, True)], limit=limit, cursor=cursor, total=total, sort="inbox")


def unread(actor: User) -> int:
    """How much in the actor's inbox is unread: one statement."""
    mine = select(func.count()).select_from(Notification).where(_inbox_of(actor), Notification.read_at.is_(None))
    return db.session.scalar(mine) or 0


def mark_read(actor: User, notification_id: int) -> None:
    """Say that one was read; who says it again changes nothing.

    :raises NotFound: there is none of his.
    """
    with atomic():
        wanted = select(Notification).where(Notification.id == notification_id, _inbox_of(actor))
        notification = db.session.scalar(wanted.with_for_update())
        if notification is None:
            raise NotFound("Notification not found")
        notification.read_at = notification.read_at or now()


def mark_all_read(actor: User, up_to: int | None) -> int:
    """Say that all was read, or all up to this id; how many were unread.

    Who gives the highest id that he has seen marks nothing that came meanwhile.
    """
    old = update(Notification).where(_inbox_of(actor), Notification.read_at.is_(None))
    if up_to is not None:
        old = old.where(Notification.id <= up_to)
    with atomic():
        marked = db.session.execute(old.values(read_at=now()))
    return cast("CursorResult[Any]", marked).rowcount


@cache
def mails() -> Select[*tuple[Any, ...]]:
    """The mails that are yet to be sent and still wanted, each with its user, his preferences and its words.

    Not those whose user, post or follower is gone, or whose todo is done or was moved, and not what he has switched off
    or muted since. Made once: to build it takes longer than to run it.
    """
    author, actor = aliased(User), aliased(User)
    return (
        select(Notification, User, Preference, Post.title, author.username, actor.username, Todo)
        .join(User, User.id == Notification.user_id)
        .outerjoin(Preference, Preference.user_id == User.id)
        .outerjoin(Post, Post.id == Notification.post_id)
        .outerjoin(author, author.id == Post.user_id)
        .outerjoin(actor, (actor.id == Notification.actor_id) & actor.deleted_at.is_(None))
        .outerjoin(Todo, Todo.id == Notification.todo_id)
        .where(Notification.channel == "mail", Notification.sent_at.is_(None), User.deleted_at.is_(None))
        .where(LISTENING[1] | Notification.kind.in_(SECURITY), LIVE | Notification.kind.not_in(OF_LIVE_POSTS))
        .where(actor.id.is_not(None) | (Notification.kind != NEW_FOLLOWER))
        .where(Notification.todo_id.is_(None) | exists().where(reminders.STANDING, TodoReminder.told_at.is_not(None)))
        .where(preferences.wants(User.id, Notification.kind, "mail", Notification.post_id))
    )


def words(user: User, title: str | None, author: str | None, actor: str | None, todo: Todo | None) -> dict[str, str]:
    """What a sentence may speak of, from the last columns of `mails()`: nothing of it may break a line."""
    spoken = {"name": user.username, "title": title, "author": author, "actor": actor}
    if todo and todo.due_at:
        due = recurrence.local(todo.due_at, todo.time_zone)
        spoken |= {"task": todo.task, "due": f"{due:%Y-%m-%d %H:%M} ({recurrence.zone_of(todo.time_zone)})"}
    return {name: " ".join((word or "").split()) for name, word in spoken.items()}


@cache
def _one_mail() -> Select[*tuple[Any, ...]]:
    return mails().where(Notification.id == bindparam("wanted"))


def send_mail(event_id: str, notification_id: int) -> None:
    """Send one mail, unless it was sent, or is not wanted any more, or its user has taken his address away.

    Its Message-ID is always the same: if a worker dies between the mail server's 250 and our commit, the second copy
    is known for one.

    :raises OSError: the mail server did not take it.
    :raises NotYet: its user wants to be left alone now.
    """
    found = db.session.execute(_one_mail(), {"wanted": notification_id}).one_or_none()
    if found is None or not (address := found.User.email):
        return
    notification, user, preference, *about = found
    if notification.kind not in SECURITY and (until := preferences.quiet_until(preference, now())):
        raise NotYet(until)
    letter = letters.notice(user.id, notification.kind, words(user, *about))
    deliver(address, letter, f"{notification_id}.{notification.event_id}", Notification.id == notification_id)


def deliver(address: str, letter: letters.Letter, key: str, which: ColumnElement[bool]) -> None:
    """Send a letter and note that these mails were sent by it."""
    end_read()  # no transaction stays open while the mail server thinks
    mail.send(address, letter.subject, letter.text, key, letter.html, letter.unsubscribe)
    with atomic():
        sent = update(Notification).where(which).values(sent_at=now())
        db.session.execute(sent, execution_options={"synchronize_session": False})


def send_warning(event_id: str, notification_id: int) -> None:
    """As `send_mail()`, by a queue where no other mail waits."""
    send_mail(event_id, notification_id)


def _inbox_of(actor: User) -> ColumnElement[bool]:
    return (Notification.user_id == actor.id) & (Notification.channel == "inbox")


def _author_id(post_id: int, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The author of a post that is so, in SQL: of none other, nobody."""
    return select(Post.user_id).where(Post.id == post_id, *conditions).scalar_subquery()


def _author(post_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(User).where(User.id == _author_id(post_id, *conditions))


def _follows(post_id: int) -> Select[Any]:
    """The follows of the author of a post, while that is published."""
    return select(Follow).where(Follow.followed_id == _author_id(post_id, LIVE))


def _tell(event_id: str, recipients: Select[Any], kind: str, **about: int) -> None:
    """Write inbox rows and, for those with an address, mails that are due; once for each (event, user, channel).

    Four statements, however many are told; a mail for somebody's next digest is due with that.
    """
    mailed = recipients.where(User.email != "")
    if kind not in SECURITY:
        recipients, mailed = (users.where(*LISTENING) for users in (recipients, mailed))
    with atomic():
        _claim(event_id, recipients, "inbox", kind, **about)
        due: Callable[[int], Warned | Notified] = Warned if kind in SECURITY else Notified
        emit(*map(due, _claim(event_id, mailed, "mail", kind, **about)), event_id=event_id)


def _claim(
    event_id: str,
    users: Select[Any],
    channel: str,
    kind: str,
    post_id: int | None = None,
    actor_id: int | None = None,
    todo_id: int | None = None,
) -> Sequence[int]:
    """The ids of the new rows that wait for no digest; those that an earlier run wrote are not among them.

    Only who wants to hear of it gets one.
    """
    about = {"post_id": post_id, "actor_id": actor_id, "todo_id": todo_id}
    values = {"event_id": event_id, "channel": channel, "kind": kind} | about
    fixed = {
        name: literal(value, inspect(Notification).columns[name].type)
        for name, value in (values | {"created_at": now()}).items()
    }
    held = preferences.waits(User.id) if channel == "mail" and kind not in PROMPT else literal(False)
    wanted = preferences.wants(User.id, fixed["kind"], channel, fixed["post_id"])
    # In one order: two who tell the same users wait for each other once, and not in a circle.
    rows = users.where(wanted).with_only_columns(User.id, held, *fixed.values()).order_by(User.id)
    told = inserting(Notification).from_select(["user_id", "held", *fixed], rows).on_conflict_do_nothing()
    return [id for id, held in db.session.execute(told.returning(Notification.id, Notification.held)) if not held]
