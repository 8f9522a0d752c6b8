"""v1's users."""

from typing import Any

from marshmallow import fields, post_load, validate

from app.models.user import ROLES
from app.schemas.base import MOBILE, PASSWORD, USERNAME, Birth, Text, Timestamp, WholeNumber
from app.schemas.v1 import SchemaV1
from app.services.page import LAST_PAGE


class InfoV1(SchemaV1):
    """More about a person."""

    age = WholeNumber(low=0, high=150, allow_none=True, metadata={"example": 33})
    birth = Birth(allow_none=True, metadata={"example": "1993-08-23"})


class UserV1(SchemaV1):
    """What everybody may see of a user."""

    id = fields.Integer(metadata={"example": 1})
    username = fields.String(metadata={"example": "alice"})
    role = fields.String(validate=validate.OneOf(ROLES), metadata={"example": "user"})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


class AccountV1(UserV1):
    """One's own data."""

    email = fields.String(allow_none=True, metadata={"example": "alice@example.org"})
    mobile = fields.String(allow_none=True, metadata={"example": "+49 170 1234567"})
    age = fields.Integer(allow_none=True, metadata={"example": 33})
    birth = fields.String(allow_none=True, metadata={"example": "1993-08-23"})


class _PersonV1(SchemaV1):
    email = fields.Email(allow_none=True, validate=validate.Length(max=254), metadata={"example": "alice@example.org"})
    mobile = fields.String(allow_none=True, validate=MOBILE, metadata={"example": "+49 170 1234567"})
    role = fields.String(validate=validate.OneOf(ROLES), metadata={"example": "user"})
    info = fields.Nested(InfoV1, allow_none=True)

    @post_load
    def flatten(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """`info` is a matter of the shape: services know `age` and `birth`."""
        return data | (data.pop("info", None) or {})


class UserCreateV1(_PersonV1):
    """A new account."""

    missing = (frozenset({"username", "password"}), "Missing username or password")

    username = Text(**USERNAME, required=True, metadata={"example": "alice"})
    password = Text(**PASSWORD, required=True, load_only=True, metadata={"example": "correct horse battery"})


class UserUpdateV1(_PersonV1):
    """What of an account to change; a new `password` needs `current_password`, unless an admin sets another's."""

    username = Text(**USERNAME)
    password = Text(**PASSWORD, load_only=True)
    current_password = Text(high=128, load_only=True)
    age = WholeNumber(low=0, high=150, allow_none=True)
    birth = Birth(allow_none=True)


class LoginV1(SchemaV1):
    """Name and password."""

    missing = (frozenset({"username", "password"}), "Missing username or password")

    username = fields.String(required=True, validate=validate.Length(max=320), metadata={"example": "alice"})
    password = fields.String(
        required=True, validate=validate.Length(max=1024), metadata={"example": "correct horse battery"}
    )


class TokenV1(SchemaV1):
    """An access token."""

    token = fields.String(metadata={"example": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.…"})


class UserQueryV1(SchemaV1):
    """Which users to list."""

    page = WholeNumber(low=1, high=LAST_PAGE, load_default=1)
    per_page = WholeNumber(low=1, high=100, load_default=20)
