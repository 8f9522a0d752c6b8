"""v2's view of the outbox, for admins."""

from marshmallow import fields, validate

from app.schemas.base import Timestamp
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of
from app.services.outbox import STATES


class OutboxV2(SchemaV2):
    """How much waits to be delivered, and for how long."""

    waiting = fields.Integer(metadata={"example": 0})
    done = fields.Integer(metadata={"description": "in the last 7 days", "example": 1000})
    dead = fields.Integer(metadata={"description": "given up after 8 attempts", "example": 1})
    oldest_seconds = fields.Float(metadata={"description": "the age of the oldest that waits", "example": 0.2})


class MessageV2(SchemaV2):
    """An event for one subscriber."""

    id = fields.Integer(metadata={"example": 41})
    event = fields.String(metadata={"example": "PostPublished"})
    event_id = fields.String(metadata={"description": "of all that one event led to", "example": "5f2b1c"})
    subscriber = fields.String(metadata={"example": "notify_followers"})
    ids = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"example": {"post_id": 17}})
    attempts = fields.Integer(metadata={"example": 8})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})
    next_attempt_at = Timestamp(metadata={"example": "2026-11-20T14:18:00.000000Z"})
    done_at = Timestamp(allow_none=True, metadata={"example": None})
    dead_at = Timestamp(allow_none=True, metadata={"example": "2026-11-20T15:28:00.000000Z"})
    last_error = fields.String(allow_none=True, metadata={"example": "ConnectionRefusedError(111, 'refused')"})


MessagePageV2 = page_of(MessageV2, "MessagePageV2")


class MessageQueryV2(PageQueryV2):
    """Which messages to list."""

    state = fields.String(load_default="dead", validate=validate.OneOf(list(STATES)), metadata={"example": "dead"})


class MessagesV2(SchemaV2):
    """How many were changed."""

    messages = fields.Integer(metadata={"example": 3})
