"""v2's todos."""

from marshmallow import fields

from app.models.todo import TASK_LENGTH
from app.schemas.base import Instant, Text, Timestamp, Truth
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of

DUE = {
    "type": "string",
    "format": "date-time",
    "example": "2026-12-24T18:00:00Z",
    "description": "RFC 3339, with a zone",
}


class TodoV2(SchemaV2):
    """A todo of one's own."""

    id = fields.Integer(metadata={"example": 3})
    task = fields.String(metadata={"example": "Buy ink"})
    done = fields.Boolean(metadata={"example": False})
    due_at = Timestamp(allow_none=True, metadata={"example": "2026-12-24T18:00:00.000000Z"})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


TodoPageV2 = page_of(TodoV2, "TodoPageV2")


class TodoUpdateV2(SchemaV2):
    """What of a todo to change."""

    task = Text(low=1, high=TASK_LENGTH, metadata={"example": "Buy ink"})
    done = Truth(metadata={"example": True})
    due_at = Instant(allow_none=True, metadata=DUE)


class TodoCreateV2(TodoUpdateV2):
    """A new todo."""

    task = Text(low=1, high=TASK_LENGTH, required=True, metadata={"example": "Buy ink"})


class TodoQueryV2(PageQueryV2):
    """Which todos to list."""

    done = Truth(words=True, load_default=None, metadata={"description": "only such"})
