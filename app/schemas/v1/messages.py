"""v1's plain answers."""

from marshmallow import fields

from app.schemas.v1 import SchemaV1


class MessageV1(SchemaV1):
    """What was done."""

    message = fields.String(metadata={"example": "Post deleted"})


class CountedMessageV1(MessageV1):
    """What was done, and to how many."""

    count = fields.Integer(metadata={"example": 3})


class ErrorV1(SchemaV1):
    """What went wrong."""

    error = fields.String(metadata={"example": "Not Found"})
    message = fields.String(metadata={"example": "Post not found"})
    code = fields.String(metadata={"description": "on 401", "example": "expired_token"})
    errors = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String()), metadata={"description": "on 400, by field"}
    )
