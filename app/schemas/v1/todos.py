"""v1's todos."""

from marshmallow import fields

from app.models.todo import TASK_LENGTH
from app.schemas.base import Instant, Text, Timestamp, Truth, WholeNumber
from app.schemas.v1 import SchemaV1
from app.services.page import LAST_PAGE

DUE = {
    "type": "string",
    "format": "date-time",
    "example": "2026-12-24T18:00:00Z",
    "description": "RFC 3339, with a zone",
}


class TodoV1(SchemaV1):
    """A todo of one's own."""

    id = fields.Integer(metadata={"example": 3})
    task = fields.String(metadata={"example": "Buy ink"})
    done = fields.Boolean(metadata={"example": False})
    due_at = Timestamp(allow_none=True, metadata={"example": "2026-12-24T18:00:00.000000Z"})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


class TodoUpdateV1(SchemaV1):
    """What of a todo to change."""

    task = Text(low=1, high=TASK_LENGTH, metadata={"example": "Buy ink"})
    done = Truth(metadata={"example": True})
    due_at = Instant(allow_none=True, metadata=DUE)


class TodoCreateV1(TodoUpdateV1):
    """A new todo."""

    missing = (frozenset({"task"}), "Missing task")

    task = Text(low=1, high=TASK_LENGTH, required=True, metadata={"example": "Buy ink"})


class TodoQueryV1(SchemaV1):
    """Which todos to list."""

    done = Truth(words=True, load_default=None, metadata={"description": "`true` or `false`: only such"})
    page = WholeNumber(low=1, high=LAST_PAGE, load_default=1)
    per_page = WholeNumber(low=1, high=100, load_default=20)
