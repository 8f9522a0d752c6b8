"""Who is told what: rows of the inbox, and mails. Everything here may run twice."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import selectinload

from app.errors import NotFound
from app.events import Notified, emit
from app.extensions import db
from app.models import Follow, Notification, Post, User
from app.models.base import now
from app.services import mail
from app.services.atomic import atomic, end_read
from app.services.page import Page, Place
from app.services.posts import LIVE

POST_PUBLISHED = "post_published"
NEW_POST = "new_post"
SUBJECTS = {POST_PUBLISHED: "Your post is published: {title}", NEW_POST: "A new post: {title}"}
TEXTS = {
    POST_PUBLISHED: "Hello {name},\n\nyour post «{title}» is published.\n",
    NEW_POST: "Hello {name},\n\n{author} has published «{title}».\n",
}

LISTENING = (User.deleted_at.is_(None), User.disabled_at.is_(None))


def notify_author(event_id: str, post_id: int) -> None:
    """Tell a post's author that it is published."""
    author = select(User).join(Post, Post.user_id == User.id).where(Post.id == post_id)
    _tell(event_id, author, POST_PUBLISHED, post_id)


def notify_admins(event_id: str, post_id: int) -> None:
    """Tell the admins, but for the author himself, of a new post."""
    author_id = select(Post.user_id).where(Post.id == post_id).scalar_subquery()
    _tell(event_id, select(User).where(User.role == "admin", User.id != author_id), NEW_POST, post_id)


def notify_followers(event_id: str, post_id: int) -> None:
    """Tell those who follow a post's author that it is published."""
    followers = select(User).join(Follow, Follow.follower_id == User.id).join(Post, Post.user_id == Follow.followed_id)
    _tell(event_id, followers.where(Post.id == post_id), NEW_POST, post_id)


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


def send_mail(event_id: str, notification_id: int) -> None:
    """Send one mail, unless it was sent, or its user or post is gone, or he has taken his address away.

    Its Message-ID is always the same: if a worker dies between the mail server's 250 and our commit, the second copy
    is known for one.

    :raises OSError: the mail server did not take it.
    """
    found = db.session.execute(
        select(Notification, User, Post)
        .join(User, User.id == Notification.user_id)
        .join(Post, Post.id == Notification.post_id)
        .where(Notification.id == notification_id, Notification.sent_at.is_(None), *LISTENING, LIVE)
    ).one_or_none()
    if found is None:
        return
    notification, user, post = found
    if not (address := user.email):
        return
    author = db.session.get(User, post.user_id)
    words = {"name": user.username, "title": post.title, "author": author.username if author else ""}
    subject, text = (table[notification.kind].format(**words) for table in (SUBJECTS, TEXTS))
    key = f"{notification_id}.{notification.event_id}"
    end_read()  # no transaction stays open while the mail server thinks
    mail.send(address, subject, text, key)
    with atomic():
        notification.sent_at = now()


def _inbox_of(actor: User) -> ColumnElement[bool]:
    return (Notification.user_id == actor.id) & (Notification.channel == "inbox")


def _tell(event_id: str, recipients: Select[User], kind: str, post_id: int) -> None:
    """Write an inbox row and, for who has an address, a mail that is due; once for each (event, user, channel)."""
    with atomic():
        for user in db.session.scalars(recipients.where(*LISTENING)).all():
            _claim(event_id, user.id, "inbox", kind, post_id)
            if user.email and (mail_id := _claim(event_id, user.id, "mail", kind, post_id)):
                emit(Notified(mail_id))


def _claim(event_id: str, user_id: int, channel: str, kind: str, post_id: int) -> int | None:
    """The id of the new row, or None when an earlier run wrote it."""
    insert = postgresql_insert if db.session.get_bind().dialect.name == "postgresql" else sqlite_insert
    values = {"event_id": event_id, "user_id": user_id, "channel": channel, "kind": kind, "post_id": post_id}
    statement = insert(Notification).values(**values).on_conflict_do_nothing().returning(Notification.id)
    id: int | None = db.session.scalar(statement)
    return id
