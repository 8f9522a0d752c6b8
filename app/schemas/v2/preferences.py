"""v2's notification preferences."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.schemas.base import Timestamp, Truth
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import page_of
from app.services import recurrence
from app.services.preferences import DAILY, DEFAULTS, IMMEDIATELY, WEEKLY

CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"


def _known_zone(name: str) -> None:
    if name not in recurrence.zones():
        raise ValidationError("must be a time zone of the tz database (Europe/Berlin)")


def _clock(name: str, example: str) -> fields.String:
    time = validate.Regexp(CLOCK, error="must be a time (22:00)")
    return fields.String(required=True, data_key=name, validate=time, metadata={"example": example})


class QuietHoursV2(SchemaV2):
    """When no mail shall come, in one's own time zone; also over midnight."""

    start = _clock("from", "22:00")
    end = _clock("until", "07:00")

    @validates_schema
    def differ(self, data: dict[str, Any], **_: Any) -> None:
        """Or nobody could say whether a day or nothing is meant."""
        if data.get("start") == data.get("end"):
            raise ValidationError("must differ from `from`", "until")


class ChannelsV2(SchemaV2):
    """Where one is told of something. A mail about security cannot be switched off."""

    inbox = Truth(metadata={"example": True})
    mail = Truth(metadata={"example": False})


EVENTS = {kind: fields.Nested(ChannelsV2) for kind in DEFAULTS}
EventsV2 = type("EventsV2", (SchemaV2,), {"__doc__": "Each kind of event, and where one is told of it."} | EVENTS)


class PreferencesV2(SchemaV2):
    """What one wants to be told, where and when. What is not given stays as it is."""

    time_zone = fields.String(validate=_known_zone, metadata={"maxLength": 64, "example": "Europe/Berlin"})
    digest = fields.String(
        validate=validate.OneOf((IMMEDIATELY, DAILY, WEEKLY)),
        metadata={"description": "each mail at once, or all in one, at 08:00 or Mondays at 08:00", "example": DAILY},
    )
    quiet_hours = fields.Nested(QuietHoursV2, allow_none=True)
    events = fields.Nested(EventsV2)


class MuteV2(SchemaV2):
    """A muted author or post: the other one is null."""

    author_id = fields.Integer(allow_none=True, metadata={"example": 1})
    post_id = fields.Integer(allow_none=True, metadata={"example": None})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


MutePageV2 = page_of(MuteV2, "MutePageV2")
