"""v2's webhooks."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load, validate

from app.models.user import URL_LENGTH
from app.models.webhook import SCOPES
from app.schemas.base import Timestamp, Truth, WholeNumber
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of
from app.schemas.v2.users import OF_ADDRESSES
from app.services.webhooks import EVENTS, STATES

URL = "https://hooks.example.org/broadsheet"
AT = "2026-11-20T14:17:00.000000Z"
SCOPE = "`own`: one's own posts and followers; `all`: everybody's, for admins"


class WebhookV2(SchemaV2):
    """A webhook. With a `disabled_at` it failed for too long; `active: true` enables it again."""

    id = fields.Integer(metadata={"example": 3})
    url = fields.String(metadata={"example": URL})
    events = fields.List(fields.String(), metadata={"example": ["post.published"]})
    scope = fields.String(metadata={"description": SCOPE, "example": "own"})
    active = fields.Boolean(metadata={"example": True})
    owner_id = fields.Integer(attribute="user_id", metadata={"example": 1})
    created_at = Timestamp(metadata={"example": AT})
    failing_since = Timestamp(allow_none=True, metadata={"description": "no call has succeeded since", "example": None})
    disabled_at = Timestamp(allow_none=True, metadata={"example": None})
    disabled_reason = fields.String(allow_none=True, metadata={"example": None})


class WebhookSecretV2(SchemaV2):
    """What a webhook's calls are signed with. It is shown once."""

    id = fields.Integer(metadata={"example": 3})
    secret = fields.String(metadata={"example": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})


class WebhookCreatedV2(WebhookV2, WebhookSecretV2):
    """A new webhook, with the secret that is shown this once."""


WebhookPageV2 = page_of(WebhookV2, "WebhookPageV2")


def _url(**options: Any) -> fields.String:
    shaped = [validate.Length(1, URL_LENGTH), validate.Regexp(OF_ADDRESSES)]
    said = {"description": "http or https, without user or password, that everybody can reach", "example": URL}
    return fields.String(validate=shaped, metadata=said, **options)


def _events(**options: Any) -> fields.List:
    name, example = fields.String(validate=validate.OneOf(EVENTS)), ["post.published", "user.followed"]
    return fields.List(name, validate=validate.Length(1, len(EVENTS)), metadata={"example": example}, **options)


class WebhookUpdateV2(SchemaV2):
    """What of a webhook to change."""

    url = _url()
    events = _events()
    scope = fields.String(validate=validate.OneOf(SCOPES), metadata={"description": SCOPE, "example": "own"})
    active = Truth(metadata={"example": True})

    @post_load
    def distinct(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Each event once."""
        return data | ({"events": [name for name in EVENTS if name in data["events"]]} if "events" in data else {})


class WebhookCreateV2(WebhookUpdateV2):
    """A new webhook."""

    url = _url(required=True)
    events = _events(required=True)


class AttemptV2(SchemaV2):
    """A call, and what came of it."""

    at = fields.String(metadata={"format": "date-time", "example": AT})
    status = fields.Integer(allow_none=True, metadata={"example": 500})
    ms = fields.Integer(metadata={"description": "how long it took", "example": 120})
    answer = fields.String(allow_none=True, metadata={"description": "its beginning", "example": "Oops"})
    error = fields.String(allow_none=True, metadata={"example": "Answered 500"})


class DeliveryV2(SchemaV2):
    """An event that a webhook was told, with the last attempts. Neither done nor failed: it waits."""

    id = fields.Integer(metadata={"example": 7})
    type = fields.String(metadata={"example": "post.published"})
    body = fields.String(metadata={"description": "what is sent", "example": '{"type":"post.published"}'})
    created_at = Timestamp(metadata={"example": AT})
    done_at = Timestamp(allow_none=True, metadata={"example": None})
    failed_at = Timestamp(allow_none=True, metadata={"example": None})
    attempts = fields.List(fields.Nested(AttemptV2))


DeliveryPageV2 = page_of(DeliveryV2, "DeliveryPageV2")


class DeliveryQueryV2(PageQueryV2):
    """Which deliveries to list."""

    limit = WholeNumber(low=1, high=20, load_default=20)  # each with all that was answered
    state = fields.String(load_default=None, validate=validate.OneOf(list(STATES)), metadata={"example": "failed"})
