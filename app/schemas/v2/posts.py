"""v2's posts."""

from marshmallow import fields

from app.models.post import CATEGORY_LENGTH
from app.schemas.base import Cursor, Text, Timestamp, WholeNumber
from app.schemas.v2 import SchemaV2


class PostV2(SchemaV2):
    """A post."""

    id = fields.Integer(metadata={"example": 17})
    title = fields.String(metadata={"example": "Hello"})
    content = fields.String(metadata={"example": "The first words of many."})
    category = fields.String(metadata={"example": "general"})
    user_id = fields.Integer(metadata={"example": 1})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})
    updated_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


class PageLinksV2(SchemaV2):
    """Where the list goes on."""

    limit = fields.Integer(metadata={"example": 20})
    next = fields.String(allow_none=True, metadata={"description": "the `cursor` of the next page"})


class PostPageV2(SchemaV2):
    """A page of posts."""

    items = fields.List(fields.Nested(PostV2))
    page = fields.Nested(PageLinksV2)


class PostQueryV2(SchemaV2):
    """Which posts to list."""

    category = Text(high=CATEGORY_LENGTH, load_default=None, metadata={"description": "in this category"})
    limit = WholeNumber(low=1, high=100, load_default=20)
    cursor = Cursor(load_default=None, metadata={"type": "string", "description": "`page.next` of the page before"})


class FieldErrorV2(SchemaV2):
    """What is wrong with one field."""

    field = fields.String(metadata={"example": "limit"})
    code = fields.String(metadata={"example": "invalid"})
    message = fields.String(metadata={"example": "Must be greater than or equal to 1 and less than or equal to 100."})


class ProblemV2(SchemaV2):
    """What went wrong (RFC 9457)."""

    type = fields.String(metadata={"example": "urn:broadsheet:problem:invalid"})
    title = fields.String(metadata={"example": "Unprocessable Entity"})
    status = fields.Integer(metadata={"example": 422})
    detail = fields.String(metadata={"example": "Some fields are wrong"})
    code = fields.String(metadata={"example": "invalid"})
    errors = fields.List(fields.Nested(FieldErrorV2))
    request_id = fields.String(metadata={"example": "0b1c5c4a2f3e4d5c8b7a69788695a4b3"})
