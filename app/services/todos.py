"""Todos: one's own only; another's is as if it were not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, tuple_, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB

from app.errors import FieldError, Invalid, NotFound
from app.extensions import db
from app.models import Post, Todo, User
from app.models.base import now
from app.models.todo import GAP, LOWEST_PRIORITY, MIDDLE
from app.services import recurrence, reminders, users
from app.services.atomic import atomic
from app.services.page import LAST_INSTANT, Page, Place

Check = Callable[[Any], None]
# What has none of it counts as last: behind what has, and before it where the order descends.
SORTS: dict[str, Any] = {
    "created": Todo.id,
    "due_at": func.coalesce(Todo.due_at, LAST_INSTANT),
    "priority": func.coalesce(Todo.priority, LOWEST_PRIORITY + 1),
    "position": Todo.position,
}
FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "done": lambda value: Todo.done == value,
    "overdue": lambda value: func.coalesce(~Todo.done & (Todo.due_at < now()), False) == value,
    "tag": lambda value: _tagged(value),
    "priority": lambda value: Todo.priority == value,
    "parent_id": lambda value: Todo.parent_id == value,
    "post_id": lambda value: Todo.post_id == value,
}


def listed(actor: User, page: int, per_page: int, done: bool | None) -> Page:
    """The actor's todos, oldest first: two statements."""
    conditions = [Todo.user_id == actor.id, *([Todo.done == done] if done is not None else [])]
    total = db.session.scalar(select(func.count()).select_from(Todo).where(*conditions)) or 0
    rows = select(Todo).where(*conditions).order_by(Todo.id).limit(per_page).offset((page - 1) * per_page)
    return Page.numbered(list(db.session.scalars(rows)), total, page, per_page)


def searched(actor: User, limit: int, cursor: Place | None, total: bool, sort: str, **filters: Any) -> Page:
    """The actor's todos from a place in the list: one statement, and one for the total.

    :param sort: names of SORTS, separated by commas, each with `-` for descending.
    :param filters: of FILTERS. `overdue` is true as of now: what is open and was due before.
    """
    order = [(SORTS[name.removeprefix("-")], name.startswith("-")) for name in sort.split(",")]
    if order[-1][0] is not Todo.id:
        order.append((Todo.id, order[-1][1]))
    given = (FILTERS[name](value) for name, value in filters.items() if value is not None)
    rows = select(Todo).where(Todo.user_id == actor.id, *given)
    return Page.placed(rows, order, limit=limit, cursor=cursor, total=total, sort=f"todos {sort}")


def one(actor: User, todo_id: int) -> Todo:
    """The actor's todo of this id.

    :raises NotFound: there is none, or it is another's.
    """
    return _found(db.session.scalar(_wanted(actor, todo_id)))


def create(actor: User, **data: Any) -> Todo:
    """Write down what is to be done, behind all else unless `before` or `after` says another place.

    :raises Invalid: as `change()`.
    """
    with atomic():
        users.still_here(actor, alone=True)
        last = db.session.scalar(select(func.max(Todo.position)).where(Todo.user_id == actor.id))
        todo = Todo(user_id=actor.id, position=last + GAP if last else MIDDLE, done=False, time_zone="UTC")
        _apply(todo, data)
        db.session.add(todo)
        db.session.flush()
        reminders.keep(todo, *_relatives_in_step(todo))
    return todo


def change(actor: User, todo_id: int, check: Check, **data: Any) -> Todo:
    """Change what is given of a todo's columns. `check` is given the todo before.

    Who says `done` of a todo that recurs again has it open at its next date, its subtasks with it. Who closes a todo
    closes its subtasks; who opens a subtask opens what it is part of.

    :param data: also `before` or `after`: the id of the todo beside which it is to stand.
    :raises Invalid: it names what is not there, or what does not fit what the todo is then.
    :raises NotFound: and what `check` raises.
    """
    with atomic():
        users.still_here(actor, alone=True)  # one's own changes come one after the other: they concern several todos
        todo = _found(db.session.scalar(_wanted(actor, todo_id).with_for_update()))
        check(todo)
        was_done = todo.done
        _apply(todo, data)
        again = False
        if todo.done and not was_done:
            todo.last_done_at, todo.completed_count = now(), todo.completed_count + 1
            again = _recur(todo)
        reminders.keep(todo, *_relatives_in_step(todo, begin_anew=again))
    return todo


def delete(actor: User, todo_id: int, check: Check) -> None:
    """Delete a todo for good, and its subtasks. `check` is given the todo before.

    :raises NotFound: and what `check` raises.
    """
    with atomic():
        users.still_here(actor, alone=True)
        todo = _found(db.session.scalar(_wanted(actor, todo_id).with_for_update()))
        check(todo)
        db.session.delete(todo)


def _apply(todo: Todo, data: dict[str, Any]) -> None:
    """Set what is given. What the todo is then fits together."""
    sides = {name: data.pop(name) for name in ("before", "after") if name in data}
    changed = {name: value for name, value in data.items() if getattr(todo, name) != value}
    if changed.get("parent_id") is not None:
        _check_parent(todo, changed["parent_id"])
    if changed.get("post_id") is not None:
        mine = select(Post.id).where(Post.id == changed["post_id"], Post.user_id == todo.user_id)
        if db.session.scalar(mine.where(Post.deleted_at.is_(None))) is None:
            raise _wrong("post_id", "not_found", "There is no such post of yours")
    for name, value in changed.items():
        setattr(todo, name, value)
    if todo.due_at is None and (todo.recurrence or todo.remind_minutes_before):
        raise _wrong("due_at", "required", "What recurs or is reminded of must be due")
    if changed.keys() & {"recurrence", "due_at", "time_zone"}:
        _begin_series(todo, anew="recurrence" in changed)
    for side, other in sides.items():
        _place(todo, side, other)


def _check_parent(todo: Todo, parent_id: int) -> None:
    above = select(Todo.parent_id).where(Todo.id == parent_id, Todo.user_id == todo.user_id, Todo.id != todo.id)
    row = db.session.execute(above).one_or_none()
    if row is None:
        raise _wrong("parent_id", "not_found", "There is no such other todo of yours")
    if row.parent_id is not None:
        raise _wrong("parent_id", "too_deep", "Is a subtask itself")
    if todo.id and db.session.scalar(select(Todo.id).where(Todo.parent_id == todo.id).limit(1)):
        raise _wrong("parent_id", "too_deep", "What has subtasks cannot be one")


def _begin_series(todo: Todo, anew: bool) -> None:
    """Note where the series begins that the rule makes from the present due time on."""
    if todo.recurrence is None or todo.due_at is None:
        todo.series_start = todo.occurrences_left = None
        return
    rule = todo.recurrence["rule"]
    try:
        todo.series_start = recurrence.local(todo.due_at, todo.time_zone)
        if not recurrence.ever_follows(rule, todo.series_start):
            raise OverflowError
    except OverflowError:
        message = f"No date follows the one it is due at, from {recurrence.FIRST_YEAR} to {recurrence.LAST_YEAR}"
        raise _wrong("recurrence.rule", "never", message) from None
    if anew:
        count = recurrence.parsed(rule).get("COUNT")
        todo.occurrences_left = int(count) if count else None


def _recur(todo: Todo) -> bool:
    """Open a todo that was done just now at its next date, if it has one."""
    if todo.recurrence is None or todo.series_start is None:
        return False
    about = todo.recurrence["rule"], todo.recurrence["mode"], todo.time_zone
    found = recurrence.following(*about, todo.series_start, now())
    left = todo.occurrences_left
    if found is None or (left is not None and left <= found[0]):
        return False
    todo.done, todo.series_start = False, found[1]
    todo.due_at = recurrence.instant(found[1], todo.time_zone)
    todo.occurrences_left = left - found[0] if left is not None else None
    return True


def _relatives_in_step(todo: Todo, begin_anew: bool = False) -> list[Todo]:
    """What is done has no open subtask. Those that were opened or closed."""
    if todo.done or begin_anew:
        wanted = select(Todo).where(Todo.parent_id == todo.id, Todo.done != todo.done)
    elif todo.parent_id:
        wanted = select(Todo).where(Todo.id == todo.parent_id, Todo.done)
    else:
        return []
    relatives = list(db.session.scalars(wanted))
    for one in relatives:
        one.done = todo.done
    return relatives


def _place(todo: Todo, side: str, other_id: int) -> None:
    """Put the todo right before or after another. Between two is room for about twenty halves; where it is used up, all
    beyond move on by one GAP.
    """
    others = (Todo.user_id == todo.user_id, Todo.id != todo.id)
    other = db.session.execute(select(Todo.id, Todo.position).where(Todo.id == other_id, *others)).one_or_none()
    if other is None:
        raise _wrong(side, "not_found", "There is no such other todo of yours")
    here, place = (other.position, other.id), tuple_(Todo.position, Todo.id)
    if side == "before":
        nearest, behind = select(func.max(Todo.position)).where(*others, place < here), place >= here
        high: int = other.position
        low: int = db.session.scalar(nearest) or high - 2 * GAP
    else:
        nearest, behind = select(func.min(Todo.position)).where(*others, place > here), place > here
        low = other.position
        high = db.session.scalar(nearest) or low + 2 * GAP
    if high - low < 2:
        moved = update(Todo).where(*others, behind).values(position=Todo.position + GAP)
        db.session.execute(moved.execution_options(synchronize_session=False))
        high += GAP
    todo.position = (low + high) // 2


def _tagged(name: str) -> ColumnElement[bool]:
    if db.session.get_bind().dialect.name == "postgresql":
        return type_coerce(Todo.tags, JSONB).contains([name])
    tags = func.json_each(Todo.tags).table_valued("value")
    return exists().where(tags.c.value == name)


def _wrong(field: str, code: str, message: str) -> Invalid:
    return Invalid(errors=(FieldError(field, code, message),))


def _wanted(actor: User, todo_id: int) -> Select[Todo]:
    return select(Todo).where(Todo.id == todo_id, Todo.user_id == actor.id)


def _found(todo: Todo | None) -> Todo:
    if todo is None:
        raise NotFound("Todo not found")
    return todo
