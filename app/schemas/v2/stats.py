"""v2's statistics."""

from typing import Any

from marshmallow import fields

from app.schemas.base import Timestamp
from app.schemas.v2 import SchemaV2
from app.schemas.v2.users import AuthorV2

AT, UNTIL = "2026-11-20T14:17:00.000000Z", "2026-11-20T15:17:00.000000Z"
POSTS = {"description": "how many published posts", "example": 12}


class ComputedV2(SchemaV2):
    """What is computed now and then."""

    computed_at = Timestamp(metadata={"description": "the numbers are as of then", "example": AT})
    expires_at = Timestamp(metadata={"description": "from then on they are computed anew", "example": UNTIL})


class DayV2(SchemaV2):
    """A day, and how many posts it has."""

    date = fields.String(metadata={"format": "date", "description": "in UTC", "example": "2026-11-20"})
    posts = fields.Integer(metadata=POSTS)


class CategoryV2(SchemaV2):
    """A category, and how many posts it has."""

    name = fields.String(metadata={"example": "general"})
    posts = fields.Integer(metadata=POSTS)


class TopAuthorV2(SchemaV2):
    """An author, and how many posts are his."""

    author = fields.Nested(AuthorV2)
    posts = fields.Integer(metadata=POSTS)


class LongPostV2(SchemaV2):
    """A post, and how many words it has."""

    id = fields.Integer(metadata={"example": 17})
    title = fields.String(metadata={"example": "Hello"})
    words = fields.Integer(metadata={"example": 2400})


class WordsV2(ComputedV2):
    """How much was written."""

    posts = fields.Integer(metadata=POSTS)
    total = fields.Integer(metadata={"description": "words of all posts together", "example": 81000})
    mean = fields.Float(metadata={"description": "words of a post", "example": 675.0})
    longest = fields.List(fields.Nested(LongPostV2))


def _counts(item: type[SchemaV2], name: str, doc: str) -> Any:
    return type(name, (ComputedV2,), {"__doc__": doc, "items": fields.List(fields.Nested(item))})


PostsPerDayV2 = _counts(DayV2, "PostsPerDayV2", "The days that have posts, oldest first; the last 1000 of them.")
CategoriesV2 = _counts(CategoryV2, "CategoriesV2", "The categories with most posts, at most 50.")
TopAuthorsV2 = _counts(TopAuthorV2, "TopAuthorsV2", "The authors with most posts, at most 20.")


class StatisticsV2(ComputedV2):
    """All parts: as of the oldest, until the first expires."""

    posts_per_day = fields.Nested(PostsPerDayV2)
    categories = fields.Nested(CategoriesV2)
    authors = fields.Nested(TopAuthorsV2)
    words = fields.Nested(WordsV2)


class StatisticsRefreshV2(SchemaV2):
    """A refresh, and how far it is."""

    id = fields.Integer(metadata={"example": 3})
    status = fields.String(metadata={"enum": ["queued", "running", "done", "failed"], "example": "running"})
    done = fields.Integer(metadata={"description": "how many parts are computed", "example": 2})
    total = fields.Integer(metadata={"description": "of how many", "example": 4})
    created_at = Timestamp(metadata={"example": AT})
    started_at = Timestamp(allow_none=True, metadata={"example": AT})
    finished_at = Timestamp(allow_none=True, metadata={"example": AT})
    error = fields.String(
        allow_none=True, metadata={"description": "of the last attempt", "example": "OperationalError('timeout')"}
    )
