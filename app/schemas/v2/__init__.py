"""v2: what we want frontends to use. Unknown fields are refused by name."""

from marshmallow import RAISE

from app.schemas.base import Schema


class SchemaV2(Schema):
    """The base of v2's schemas."""

    class Meta:
        unknown = RAISE


class NoQueryV2(SchemaV2):
    """No parameters."""
