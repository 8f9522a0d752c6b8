"""Todos: one's own only; another's is as if it were not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, func, select

from app.errors import NotFound
from app.extensions import db
from app.models import Todo, User
from app.services import users
from app.services.atomic import atomic
from app.services.page import Page, Place

Check = Callable[[Any], None]


def listed(actor: User, page: int, per_page: int, done: bool | None) -> Page:
    """The actor's todos, oldest first: two statements."""
    conditions = [Todo.user_id == actor.id, *([Todo.done == done] if done is not None else [])]
    total = db.session.scalar(select(func.count()).select_from(Todo).where(*conditions)) or 0
    rows = select(Todo).where(*conditions).order_by(Todo.id).limit(per_page).offset((page - 1) * per_page)
    return Page.numbered(list(db.session.scalars(rows)), total, page, per_page)


def searched(actor: User, limit: int, cursor: Place | None, total: bool, done: bool | None) -> Page:
    """The actor's todos from a place in the list, oldest first: one statement, and one for the total."""
    rows = select(Todo).where(Todo.user_id == actor.id, *([Todo.done == done] if done is not None else []))
    return Page.placed(rows, [(Todo.id, False)], limit=limit, cursor=cursor, total=total, sort="todos")


def one(actor: User, todo_id: int) -> Todo:
    """The actor's todo of this id.

    :raises NotFound: there is none, or it is another's.
    """
    return _found(db.session.scalar(_wanted(actor, todo_id)))


def create(actor: User, **data: Any) -> Todo:
    """Write down what is to be done."""
    with atomic():
        users.still_here(actor)
        todo = Todo(user_id=actor.id, **data)
        db.session.add(todo)
        db.session.flush()
    return todo


def change(actor: User, todo_id: int, check: Check, **data: Any) -> Todo:
    """Change what is given of `task`, `done`, `due_at`. `check` is given the todo before.

    :raises NotFound: and what `check` raises.
    """
    with atomic():
        todo = _held(actor, todo_id)
        check(todo)
        for name, value in data.items():
            setattr(todo, name, value)
    return todo


def delete(actor: User, todo_id: int, check: Check) -> None:
    """Delete a todo for good. `check` is given the todo before.

    :raises NotFound: and what `check` raises.
    """
    with atomic():
        todo = _held(actor, todo_id)
        check(todo)
        db.session.delete(todo)


def _held(actor: User, todo_id: int) -> Todo:
    """The todo, held until the commit."""
    return _found(db.session.scalar(_wanted(actor, todo_id).with_for_update()))


def _wanted(actor: User, todo_id: int) -> Select[Todo]:
    return select(Todo).where(Todo.id == todo_id, Todo.user_id == actor.id)


def _found(todo: Todo | None) -> Todo:
    if todo is None:
        raise NotFound("Todo not found")
    return todo
