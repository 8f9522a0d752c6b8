"""v1's posts."""

from marshmallow import fields

from app.models.post import CATEGORY_LENGTH, CONTENT_LENGTH, TITLE_LENGTH
from app.schemas.base import BIGGEST_ID, Text, Timestamp, WholeNumber
from app.schemas.v1 import SchemaV1
from app.services.page import LAST_PAGE


class PostV1(SchemaV1):
    """A post."""

    id = fields.Integer(metadata={"example": 17})
    title = fields.String(metadata={"example": "Hello"})
    content = fields.String(metadata={"example": "The first words of many."})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})
    user_id = fields.Integer(metadata={"example": 1})
    category = fields.String(metadata={"example": "general"})


class PostCreateV1(SchemaV1):
    """A new post."""

    missing = (frozenset({"title", "content"}), "Missing title or content")

    title = Text(low=1, high=TITLE_LENGTH, required=True, metadata={"example": "Hello"})
    content = Text(low=1, high=CONTENT_LENGTH, required=True, metadata={"example": "The first words of many."})
    category = Text(low=1, high=CATEGORY_LENGTH, metadata={"example": "general"})


class PostUpdateV1(SchemaV1):
    """What of a post to change."""

    title = Text(low=1, high=TITLE_LENGTH)
    content = Text(low=1, high=CONTENT_LENGTH)
    category = Text(low=1, high=CATEGORY_LENGTH)


class PostQueryV1(SchemaV1):
    """Which posts to list."""

    user_id = WholeNumber(low=1, high=BIGGEST_ID, load_default=None, metadata={"description": "of this author"})
    category = Text(high=CATEGORY_LENGTH, load_default=None, metadata={"description": "in this category"})
    page = WholeNumber(low=1, high=LAST_PAGE, load_default=1)
    per_page = WholeNumber(low=1, high=100, load_default=20)
