"""v2's tokens."""

from marshmallow import fields, validate

from app.schemas.base import PASSWORD, Text
from app.schemas.v2 import SchemaV2
from app.tokens import LONGEST


class LoginV2(SchemaV2):
    """A name or a mail address, and the password."""

    username = fields.String(
        required=True,
        validate=validate.Length(max=320),
        metadata={"description": "the name or the mail address", "example": "alice"},
    )
    password = fields.String(
        required=True, validate=validate.Length(max=1024), metadata={"example": "correct horse battery"}
    )


class RefreshV2(SchemaV2):
    """A refresh token."""

    refresh_token = fields.String(required=True, validate=validate.Length(max=LONGEST), metadata={"example": "eyJhb…"})


class TokensV2(SchemaV2):
    """An access token and the refresh token that gets the next one (RFC 6749 §5.1)."""

    access_token = fields.String(metadata={"example": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.…"})
    token_type = fields.String(metadata={"example": "Bearer"})
    expires_in = fields.Integer(metadata={"description": "seconds", "example": 900})
    refresh_token = fields.String(metadata={"example": "eyJhbGciOiJIUzI1NiIsInR5cCI6InJ0K2p3dCJ9.…"})
    refresh_expires_in = fields.Integer(metadata={"description": "seconds", "example": 2592000})


class PasswordChangeV2(SchemaV2):
    """Another password, and the present one."""

    current_password = Text(high=128, required=True, load_only=True, metadata={"example": "correct horse battery"})
    password = Text(**PASSWORD, required=True, load_only=True, metadata={"example": "staple correct horse"})
