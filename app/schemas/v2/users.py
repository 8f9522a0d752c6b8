"""v2's users: their profiles, and one's own account."""

import re

from marshmallow import fields, validate

from app.models.user import BIO_LENGTH, DISPLAY_NAME_LENGTH, ROLES, URL_LENGTH
from app.schemas.base import MOBILE, PASSWORD, USERNAME, Birth, Text, Timestamp, Truth
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of

AVATAR = "https://images.example.org/alice.png"
OF_ADDRESSES = re.compile(r"[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+\Z", re.ASCII)  # RFC 3986: no NUL, no quote, no `>`


class AuthorV2(SchemaV2):
    """A user, in short."""

    id = fields.Integer(metadata={"example": 1})
    username = fields.String(metadata={"example": "alice"})
    display_name = fields.String(allow_none=True, metadata={"example": "Alice L."})
    avatar_url = fields.String(allow_none=True, metadata={"example": AVATAR})


class UserV2(SchemaV2):
    """What everybody may see of a user."""

    id = fields.Integer(attribute="user.id", metadata={"example": 1})
    username = fields.String(attribute="user.username", metadata={"example": "alice"})
    display_name = fields.String(attribute="user.display_name", allow_none=True, metadata={"example": "Alice L."})
    bio = fields.String(attribute="user.bio", allow_none=True, metadata={"example": "Writes about trains."})
    avatar_url = fields.String(attribute="user.avatar_url", allow_none=True, metadata={"example": AVATAR})
    role = fields.String(attribute="user.role", metadata={"example": "user"})
    created_at = Timestamp(attribute="user.created_at", metadata={"example": "2026-11-20T14:17:00.000000Z"})
    followers = fields.Integer(metadata={"description": "how many follow him", "example": 12})
    following = fields.Integer(metadata={"description": "how many he follows", "example": 3})


class AccountV2(AuthorV2):
    """One's own account."""

    bio = fields.String(allow_none=True, metadata={"example": "Writes about trains."})
    role = fields.String(metadata={"example": "user"})
    email = fields.String(allow_none=True, metadata={"example": "alice@example.org"})
    mobile = fields.String(allow_none=True, metadata={"example": "+49 170 1234567"})
    birth = fields.String(allow_none=True, metadata={"example": "1993-08-23"})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


class AdministeredUserV2(AccountV2):
    """An account, as admins see it."""

    disabled_at = Timestamp(allow_none=True, metadata={"example": "2026-11-20T15:00:00.000000Z"})


FollowPageV2 = page_of(AuthorV2, "FollowPageV2")
UserPageV2 = page_of(AdministeredUserV2, "UserPageV2")


class AccountUpdateV2(SchemaV2):
    """What of one's own account to change; another `email` needs the `current_password`."""

    username = Text(**USERNAME, metadata={"example": "alice"})
    display_name = Text(high=DISPLAY_NAME_LENGTH, allow_none=True, metadata={"example": "Alice L."})
    bio = Text(high=BIO_LENGTH, allow_none=True, metadata={"example": "Writes about trains."})
    avatar_url = fields.URL(
        schemes={"http", "https"},
        allow_none=True,
        validate=[validate.Length(max=URL_LENGTH), validate.Regexp(OF_ADDRESSES)],
        metadata={"example": AVATAR},
    )
    email = fields.Email(allow_none=True, validate=validate.Length(max=254), metadata={"example": "alice@example.org"})
    mobile = fields.String(allow_none=True, validate=MOBILE, metadata={"example": "+49 170 1234567"})
    birth = Birth(allow_none=True, metadata={"example": "1993-08-23"})
    current_password = Text(high=128, load_only=True, metadata={"example": "correct horse battery"})


class AccountCreateV2(AccountUpdateV2):
    """A new account."""

    class Meta(AccountUpdateV2.Meta):
        exclude = ("current_password",)

    username = Text(**USERNAME, required=True, metadata={"example": "alice"})
    password = Text(**PASSWORD, required=True, load_only=True, metadata={"example": "correct horse battery"})


class AdministerV2(SchemaV2):
    """What an admin changes of an account."""

    role = fields.String(validate=validate.OneOf(ROLES), metadata={"example": "admin"})
    disabled = Truth(metadata={"description": "true shuts the account and ends its sessions", "example": True})


class UserQueryV2(PageQueryV2):
    """Which users to list."""

    role = fields.String(validate=validate.OneOf(ROLES), load_default=None, metadata={"description": "of this role"})
    disabled = Truth(words=True, load_default=None, metadata={"description": "only those shut out, or only others"})
