"""v2's problem details (RFC 9457)."""

from marshmallow import fields

from app.schemas.v2 import SchemaV2


class FieldErrorV2(SchemaV2):
    """What is wrong with one field."""

    field = fields.String(metadata={"example": "limit"})
    code = fields.String(metadata={"example": "invalid"})
    message = fields.String(metadata={"example": "Must be greater than or equal to 1 and less than or equal to 100."})


class ProblemV2(SchemaV2):
    """What went wrong."""

    type = fields.String(metadata={"example": "urn:broadsheet:problem:invalid"})
    title = fields.String(metadata={"example": "Unprocessable Entity"})
    status = fields.Integer(metadata={"example": 422})
    detail = fields.String(metadata={"example": "Some fields are wrong"})
    code = fields.String(metadata={"example": "invalid"})
    errors = fields.List(fields.Nested(FieldErrorV2))
    request_id = fields.String(metadata={"example": "0b1c5c4a2f3e4d5c8b7a69788695a4b3"})
