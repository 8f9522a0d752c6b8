"""v1: plain and frozen. Unknown and read-only fields of a body are ignored: a client may PUT back what it got."""

from marshmallow import EXCLUDE

from app.schemas.base import Schema


class SchemaV1(Schema):
    """The base of v1's schemas."""

    class Meta:
        unknown = EXCLUDE
