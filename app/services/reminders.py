"""Reminders of todos: at most one for each time, told once, however often and by however many is asked."""

from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import delete, select, tuple_

from app.events import TodoDue, emit
from app.extensions import db
from app.models import Todo, TodoReminder
from app.models.base import now
from app.services.atomic import atomic
from app.services.upsert import inserting

AT_ONCE = 200  # reminders of one transaction
NAMESPACE = uuid.UUID("6f8e4a52-6b0f-4a57-9d0c-54b1f4f0a7a3")
# The reminder is of the time at which the todo is due now.
STANDING = ~Todo.done & (Todo.due_at == TodoReminder.due_at) & (TodoReminder.todo_id == Todo.id)


def keep(*todos: Todo) -> None:
    """Write the reminders that these todos want now, in the transaction of their change. What was told stays, so that
    it is not told again; what would have been due before now is not told, unless it was wanted already.
    """
    if not todos:
        return
    db.session.flush()
    wanted = [
        (todo.id, todo.due_at, todo.due_at - timedelta(minutes=minutes))
        for todo in todos
        if not todo.done and todo.due_at and todo.due_at.year > 1  # before that there is no time
        for minutes in todo.remind_minutes_before
    ]
    ours = TodoReminder.todo_id.in_([todo.id for todo in todos]), TodoReminder.told_at.is_(None)
    columns = tuple_(TodoReminder.todo_id, TodoReminder.due_at, TodoReminder.remind_at)
    db.session.execute(delete(TodoReminder).where(*ours, columns.not_in(wanted)))
    if rows := [row for row in wanted if row[2] > now()]:
        values = [dict(zip(("todo_id", "due_at", "remind_at"), row, strict=True)) for row in rows]
        db.session.execute(inserting(TodoReminder).values(values).on_conflict_do_nothing())


def tell() -> int:
    """Hand what is due to the outbox; how many. Each is stamped in the transaction of its event, and two who ask at
    once never take the same one.
    """
    due = select(TodoReminder).where(TodoReminder.told_at.is_(None), TodoReminder.remind_at <= now())
    told, last = 0, AT_ONCE
    while last == AT_ONCE:
        with atomic():
            rows = db.session.scalars(
                due.order_by(TodoReminder.remind_at).limit(AT_ONCE).with_for_update(skip_locked=True)
            ).all()
            for row in rows:
                row.told_at = now()
                emit(TodoDue(row.todo_id, row.id), event_id=_event_id(row))
        last = len(rows)
        told += last
    return told


def _event_id(reminder: TodoReminder) -> str:
    """Of this todo, due then, at that time: the same whatever row it is written in."""
    name = f"{reminder.todo_id} {reminder.due_at.isoformat()} {reminder.remind_at.isoformat()}"
    return uuid.uuid5(NAMESPACE, name).hex
