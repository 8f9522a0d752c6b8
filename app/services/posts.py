"""Posts: list, write, change, put into the trash."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, func, select, tuple_, update

from app import policies
from app.errors import Forbidden, NotFound
from app.events import PostPublished, emit
from app.extensions import db
from app.models import Post, User
from app.models.base import now
from app.services import users
from app.services.atomic import atomic
from app.services.page import Page

Check = Callable[[Any], None]
LIVE = Post.deleted_at.is_(None)


def published(page: int, per_page: int, **filters: Any) -> Page:
    """Published posts, newest first, by page number: two statements. Filters: `user_id`, `category`."""
    total = db.session.scalar(_only(filters, select(func.count()).select_from(Post))) or 0
    rows = _only(filters, select(Post)).order_by(Post.created_at.desc(), Post.id.desc())
    items = db.session.scalars(rows.limit(per_page).offset((page - 1) * per_page))
    return Page.numbered(list(items), total, page, per_page)


def after(limit: int, cursor: tuple[Any, int] | None, **filters: Any) -> Page:
    """Published posts, newest first, from a cursor (`created_at`, `id` of the last one seen): one statement."""
    rows = _only(filters, select(Post)).order_by(Post.created_at.desc(), Post.id.desc())
    if cursor is not None:
        rows = rows.where(tuple_(Post.created_at, Post.id) < cursor)
    items = list(db.session.scalars(rows.limit(limit + 1)))
    more = len(items) > limit
    items = items[:limit]
    place = (items[-1].created_at, items[-1].id) if more else None
    return Page(items, next={"cursor": place} if more else None, limit=limit)


def one(post_id: int) -> Post:
    """The published post of this id.

    :raises NotFound: there is none, or it is in the trash.
    """
    post: Post | None = db.session.scalar(select(Post).where(Post.id == post_id, LIVE))
    if post is None:
        raise NotFound("Post not found")
    return post


def create(actor: User, **data: Any) -> Post:
    """Write a post and publish it at once. Author and admins hear of it."""
    with atomic():
        users.still_here(actor)
        post = Post(user_id=actor.id, **data)
        db.session.add(post)
        db.session.flush()
        emit(PostPublished(post.id))
    return post


def change(actor: User, post_id: int, check: Check, **data: Any) -> Post:
    """Change what is given of `title`, `content`, `category`. `check` is given the post before.

    :raises Forbidden, NotFound: and what `check` raises.
    """
    with atomic():
        post = _editable(actor, post_id, "edit")
        check(post)
        for name, value in data.items():
            setattr(post, name, value)
    return post


def delete(actor: User, post_id: int, check: Check) -> None:
    """Put a post into the trash. `check` is given the post before.

    :raises Forbidden, NotFound: and what `check` raises.
    """
    with atomic():
        post = _editable(actor, post_id, "delete")
        check(post)
        post.deleted_at = now()


def delete_all(actor: User) -> int:
    """Put every post into the trash and say how many there were.

    :raises Forbidden:
    """
    with atomic():
        if not policies.can_empty_blog(actor):
            raise Forbidden("Admin access required")
        emptied = db.session.execute(update(Post).where(LIVE).values(deleted_at=now()))
    return cast("CursorResult[Any]", emptied).rowcount


def restore(since: datetime) -> int:
    """Bring back what was put into the trash since then, but for posts whose authors are gone; say how many."""
    authors = select(User.id).where(User.deleted_at.is_(None))
    back = update(Post).where(Post.deleted_at >= since, Post.user_id.in_(authors)).values(deleted_at=None)
    with atomic():
        restored = db.session.execute(back)
    return cast("CursorResult[Any]", restored).rowcount


def _editable(actor: User, post_id: int, verb: str) -> Post:
    """The post, held until the commit."""
    post: Post | None = db.session.scalar(select(Post).where(Post.id == post_id, LIVE).with_for_update())
    if post is None:
        raise NotFound("Post not found")
    if not policies.can_edit_post(actor, post):
        raise Forbidden(f"You can only {verb} your own posts unless you are an admin")
    return post


def _only(filters: dict[str, Any], statement: Select[Any]) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [LIVE]
    conditions += [getattr(Post, name) == value for name, value in filters.items() if value is not None]
    return statement.where(*conditions)
