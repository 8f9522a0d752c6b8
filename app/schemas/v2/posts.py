"""v2's posts, and the words by which they are found."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from app.models.post import (
    BYLINE_LENGTH,
    CATEGORY_LENGTH,
    CONTENT_LENGTH,
    MOST_TAGS,
    PATH_LENGTH,
    SUMMARY_LENGTH,
    TAG_LENGTH,
    TITLE_LENGTH,
)
from app.schemas.base import BIGGEST_ID, IfLoaded, Instant, Names, Sort, Text, Timestamp, Truth, WholeNumber
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of
from app.schemas.v2.users import AuthorV2
from app.services.tags import spelled

FIELDS = (
    *("id", "title", "summary", "content", "category", "tags", "author_id", "byline", "draft"),
    *("published_at", "updated_at", "author"),
)
INSTANT = {"type": "string", "format": "date-time", "example": "2026-11-20T14:17:00Z"}
TAGS = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": TAG_LENGTH, "pattern": "^[^,]*$"},
    "example": ["flask", "python"],
}
INCLUDE = {"type": "string", "description": "`author`: who wrote it; `tags` are always there", "example": "author"}


class TagName(Text):
    """A tag: one spelling, whatever its case, width and blanks (NFKC, casefold); no comma."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(low=1, high=TAG_LENGTH, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        name = spelled(super()._deserialize(value, attr, data, **kwargs))
        if "," in name or not name.isprintable():
            raise ValidationError("must be one line without commas")
        return name


class PostV2(SchemaV2):
    """A post."""

    id = fields.Integer(metadata={"example": 17})
    title = fields.String(metadata={"example": "Hello"})
    content = fields.String(metadata={"example": "The first words of many."})
    summary = fields.String(allow_none=True, metadata={"example": "How it began."})
    category = fields.String(metadata={"example": "general"})
    byline = fields.String(allow_none=True, metadata={"description": "who wrote it, as a text", "example": "The Team"})
    draft = fields.Boolean(metadata={"example": False})
    tags = fields.List(fields.String(), attribute="tag_names", metadata={"example": ["flask", "python"]})
    author_id = fields.Integer(attribute="user_id", metadata={"example": 1})
    published_at = Timestamp(attribute="created_at", metadata={"example": "2026-11-20T14:17:00.000000Z"})
    updated_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})
    author = IfLoaded(AuthorV2)


class TrashedPostV2(PostV2):
    """A post in the trash."""

    deleted_at = Timestamp(metadata={"example": "2026-11-20T15:00:00.000000Z"})


PostPageV2 = page_of(PostV2, "PostPageV2")
TrashPageV2 = page_of(TrashedPostV2, "TrashPageV2")


class PostUpdateV2(SchemaV2):
    """What of a post to change."""

    title = Text(low=1, high=TITLE_LENGTH, metadata={"example": "Hello"})
    content = Text(low=1, high=CONTENT_LENGTH, metadata={"example": "The first words of many."})
    category = Text(low=1, high=CATEGORY_LENGTH, metadata={"example": "general"})
    tags = fields.List(TagName(), validate=validate.Length(max=MOST_TAGS), metadata=TAGS)
    summary = Text(high=SUMMARY_LENGTH, allow_none=True, metadata={"example": "How it began."})
    byline = Text(
        high=BYLINE_LENGTH, allow_none=True, metadata={"description": "who wrote it, as a text", "example": "The Team"}
    )
    draft = Truth(metadata={"description": "true: nobody else sees it; false publishes it", "example": False})

    @post_load
    def distinct(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Each tag once."""
        return data | ({"tags": tuple(dict.fromkeys(data["tags"]))} if "tags" in data else {})


class PostCreateV2(PostUpdateV2):
    """A new post."""

    title = Text(low=1, high=TITLE_LENGTH, required=True, metadata={"example": "Hello"})
    content = Text(low=1, high=CONTENT_LENGTH, required=True, metadata={"example": "The first words of many."})


class PostItemQueryV2(SchemaV2):
    """How much of a post."""

    include = Names("author", "tags", load_default=(), metadata=INCLUDE)
    fields = Names(
        *FIELDS, load_default=None, metadata={"type": "string", "description": "these alone", "example": "id,title"}
    )


class PostQueryV2(PostItemQueryV2, PageQueryV2):
    """Which posts to list."""

    category = Text(high=CATEGORY_LENGTH, load_default=None, metadata={"description": "in this category"})
    tag = TagName(load_default=None, metadata={"description": "with this tag"})
    alias = Text(high=PATH_LENGTH, load_default=None, metadata={"description": "that had this address elsewhere"})
    author = WholeNumber(
        low=1, high=BIGGEST_ID, attribute="user_id", load_default=None, metadata={"description": "of this user"}
    )
    published_after = Instant(load_default=None, metadata=INSTANT | {"description": "at or after this time"})
    published_before = Instant(load_default=None, metadata=INSTANT | {"description": "at or before this time"})
    sort = Sort(
        *("published_at", "updated_at", "title"),
        load_default="-published_at",
        metadata={"type": "string", "description": "`-` descends", "example": "-published_at,title"},
    )


class WordV2(SchemaV2):
    """A tag or a category."""

    name = fields.String(metadata={"example": "python"})
    posts = fields.Integer(metadata={"description": "how many published posts have it", "example": 12})


WordPageV2 = page_of(WordV2, "WordPageV2")
