"""Posts: list, write, change, put into the trash."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, bindparam, func, inspect, select, update
from sqlalchemy.orm import joinedload, selectinload

from app import policies
from app.errors import Conflict, FieldError, Forbidden, NotFound
from app.events import PostDeletedByAdmin, PostPublished, emit
from app.extensions import db
from app.models import Post, PostAlias, PostTag, Todo, User
from app.models.base import now
from app.services import users
from app.services.atomic import atomic
from app.services.page import Page, Place

Check = Callable[[Any], None]
MOST_NAMED = 100  # todos that keep a post from being published
KEPT, IN_TRASH = Post.deleted_at.is_(None), Post.deleted_at.is_not(None)
LIVE = KEPT & ~Post.draft  # what everybody sees
LIVING = select(User.id).where(User.deleted_at.is_(None))
SORTS: dict[str, Any] = {"published_at": Post.created_at, "updated_at": Post.updated_at, "title": Post.title}
FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "category": lambda value: Post.category == value,
    "user_id": lambda value: Post.user_id == value,
    "tag": lambda value: Post.id.in_(select(PostTag.post_id).where(PostTag.name == value)),
    "alias": lambda value: Post.id.in_(select(PostAlias.post_id).where(PostAlias.path == value.strip("/"))),
    "published_after": lambda value: Post.created_at >= value,
    "published_before": lambda value: Post.created_at <= value,
}


def published(page: int, per_page: int, **filters: Any) -> Page:
    """Published posts, newest first, by page number: one statement, and one more beyond the last page.

    The items are rows of a post's columns: a list that is only shown is made in half the time without entities.

    :param filters: `user_id`, `category`.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    rows, count = _listed(frozenset(given))
    # Past the session, which would look for entities in each row.
    items = db.session.connection().execute(rows, given | {"limit": per_page, "skip": (page - 1) * per_page}).all()
    total = items[0].total if items else db.session.scalar(count, given) if page > 1 else 0
    return Page.numbered(list(items), total, page, per_page)


def searched(
    limit: int,
    cursor: Place | None,
    sort: str,
    total: bool = False,
    include: tuple[str, ...] = (),
    **filters: Any,
) -> Page:
    """Published posts from a place in the list: two statements, and one for the total.

    :param sort: names of SORTS, separated by commas, each with `-` for descending.
    :param include: `author` loads it in the same statement; tags are always there.
    :param filters: `category`, `user_id`, `tag`, `alias`, `published_after` and `published_before` (both inclusive).
    """
    order = [(SORTS[name.removeprefix("-")], name.startswith("-")) for name in sort.split(",")]
    order.append((Post.id, order[-1][1]))
    rows = _only(filters, select(Post)).options(*_related(("tags", *include)))
    return Page.placed(rows, order, limit=limit, cursor=cursor, total=total, sort=sort)


def drafts(actor: User, limit: int, cursor: Place | None) -> Page:
    """The actor's drafts, the latest first: two statements."""
    rows = select(Post).where(KEPT, Post.draft, Post.user_id == actor.id).options(*_related(("tags",)))
    return Page.placed(rows, [(Post.id, True)], limit=limit, cursor=cursor, sort="drafts")


def one(post_id: int, include: tuple[str, ...] = ()) -> Post:
    """The published post of this id, with what it includes: `author`, `tags`.

    :raises NotFound: there is none, or it is in the trash.
    """
    post: Post | None = db.session.scalar(select(Post).where(Post.id == post_id, LIVE).options(*_related(include)))
    if post is None:
        raise NotFound("Post not found")
    return post


def create(actor: User, *, tags: tuple[str, ...] = (), **data: Any) -> Post:
    """Write a post. It is published at once, unless it is a `draft`; then author, followers and admins hear of it."""
    with atomic():
        users.still_here(actor)
        post = Post(user_id=actor.id, tags=[PostTag(name=name) for name in tags], **data)
        db.session.add(post)
        db.session.flush()
        if not post.draft:
            emit(PostPublished(post.id))
    return post


def change(actor: User, post_id: int, check: Check, *, tags: tuple[str, ...] | None = None, **data: Any) -> Post:
    """Change what is given of a post. `check` is given the post before. What is no `draft` any more is published.

    :raises Conflict: it is to be published, and has required todos that are open.
    :raises Forbidden, NotFound: and what `check` raises.
    """
    with atomic():
        post = _editable(actor, post_id, "edit")
        check(post)
        was_draft = post.draft
        for name, value in data.items():
            setattr(post, name, value)
        if tags is not None and set(tags) != set(post.tag_names):
            kept = [tag for tag in post.tags if tag.name in tags]
            new = set(tags) - {tag.name for tag in kept}
            post.tags = [*kept, *(PostTag(name=name) for name in new)]
            post.updated_at = now()
        if was_draft and not post.draft:
            _check_todos(actor, post)
            post.created_at = post.updated_at = now()
            emit(PostPublished(post.id))
    return post


def delete(actor: User, post_id: int, check: Check) -> None:
    """Put a post into the trash. `check` is given the post before.

    :raises Forbidden, NotFound: and what `check` raises.
    """
    with atomic():
        post = _editable(actor, post_id, "delete")
        check(post)
        post.deleted_at, post.deleted_by = now(), actor.id
        if actor.id != post.user_id:
            emit(PostDeletedByAdmin(post.id))


def delete_all(actor: User) -> int:
    """Put every post into the trash and say how many there were.

    :raises Forbidden:
    """
    with atomic():
        if not policies.can_empty_blog(actor):
            raise Forbidden("Admin access required")
        emptied = db.session.execute(update(Post).where(LIVE).values(deleted_at=now(), deleted_by=actor.id))
    return cast("CursorResult[Any]", emptied).rowcount


def trash(actor: User, limit: int, cursor: Place | None) -> Page:
    """What is in the trash, latest first: of one's own posts, for admins of all. Two statements."""
    rows = select(Post).where(IN_TRASH, Post.user_id.in_(LIVING)).options(*_related(("tags",)))
    if not actor.is_admin:
        rows = rows.where(Post.user_id == actor.id)
    return Page.placed(rows, [(Post.deleted_at, True), (Post.id, True)], limit=limit, cursor=cursor, sort="trash")


def restore(actor: User, post_id: int) -> Post:
    """Bring a post back from the trash.

    :raises Forbidden: somebody else put it there.
    :raises NotFound: it is not in the trash, or not the actor's, or its author is gone.
    """
    with atomic():
        wanted = select(Post).where(Post.id == post_id, IN_TRASH, Post.user_id.in_(LIVING))
        post = db.session.scalar(wanted.options(*_related(("tags",))).with_for_update())
        if post is None or not policies.can_see_trash(actor, post):
            raise NotFound("Post not found")
        users.hold(post.user_id)
        if not policies.can_restore_post(actor, post):
            raise Forbidden("An admin has deleted it: only an admin can bring it back")
        post.deleted_at = post.deleted_by = None
    return post


def restore_since(since: datetime) -> int:
    """Bring back what was put into the trash since then, but for posts whose authors are gone; say how many."""
    back = update(Post).where(Post.deleted_at >= since, Post.user_id.in_(LIVING))
    with atomic():
        restored = db.session.execute(back.values(deleted_at=None, deleted_by=None))
    return cast("CursorResult[Any]", restored).rowcount


@functools.cache
def _listed(names: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    """The list by these filters, and its length: made once, since to make a statement takes longer than to run it."""
    filters: dict[str, Any] = {name: bindparam(name) for name in names}
    count = _only(filters, select(func.count()).select_from(Post))
    columns = [column for column in inspect(Post).columns if column.name not in ("deleted_at", "deleted_by")]
    rows = _only(filters, select(*columns, count.scalar_subquery().label("total")))
    rows = rows.order_by(Post.created_at.desc(), Post.id.desc())
    return rows.limit(bindparam("limit")).offset(bindparam("skip")), count


def _editable(actor: User, post_id: int, verb: str) -> Post:
    """The post, held until the commit."""
    wanted = select(Post).where(Post.id == post_id, KEPT).options(*_related(("tags",)))
    post: Post | None = db.session.scalar(wanted.with_for_update())
    if post is None or (post.draft and not policies.can_edit_post(actor, post)):
        raise NotFound("Post not found")
    if not policies.can_edit_post(actor, post):
        raise Forbidden(f"You can only {verb} your own posts unless you are an admin")
    return post


def _check_todos(actor: User, post: Post) -> None:
    """:raises Conflict: it has required todos that are open; its author, whose they are, is told which."""
    required = select(Todo.id, Todo.task).where(Todo.post_id == post.id, Todo.required, ~Todo.done)
    if found := db.session.execute(required.order_by(Todo.id).limit(MOST_NAMED)).all():
        conflict = Conflict("It has required todos that are open", code="todos_open")
        if actor.id == post.user_id:
            conflict.errors = tuple(FieldError(f"todos.{todo.id}", "open", todo.task) for todo in found)
        raise conflict


def _only(filters: dict[str, Any], statement: Select[Any]) -> Select[Any]:
    given = {name: value for name, value in filters.items() if value is not None}
    return statement.where(LIVE, *(FILTERS[name](value) for name, value in given.items()))


def _related(include: tuple[str, ...]) -> list[Any]:
    """How a query loads what a post is related to: tags in a statement of their own, the author in the same."""
    loads = {"author": joinedload(Post.author), "tags": selectinload(Post.tags)}
    return [loads[name] for name in {*include}]
