"""What the schemas of all versions share: bounded texts, strict numbers, times."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any

import orjson
from marshmallow import ValidationError, fields, validate

from app.extensions import ma

BIGGEST_ID = 2**63 - 1
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
WHOLE_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


class Schema(ma.Schema):  # type: ignore[name-defined, misc]
    """The base of every schema.

    `missing`: field names -> the message of the whole answer when one of them is missing (the tutorials' texts).
    """

    missing: tuple[frozenset[str], str] | None = None


class Text(fields.String):
    """A string of `low` to `high` characters, without NUL (PostgreSQL refuses it). Not stripped."""

    def __init__(self, *, low: int = 0, high: int, **kwargs: Any) -> None:
        blank = "must not be blank" if low else None
        length = validate.Length(low, high, error=blank if low == high else None)
        super().__init__(validate=[length, _no_nul, *([_not_blank] if low else [])], **kwargs)


class WholeNumber(fields.Integer):
    """A JSON integer, or, in a query, ASCII digits alone: not `1_0`, `٣`, `1e3`, `+2`, `3.0` or true."""

    def __init__(self, *, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(low, high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or (isinstance(value, str) and not WHOLE_NUMBER.fullmatch(value)):
            raise self.make_error("invalid", input=value)
        if not isinstance(value, (int, str)):
            raise self.make_error("invalid", input=value)
        return int(value)


class Truth(fields.Boolean):
    """JSON's true and false alone; in a query (`words`) the words."""

    def __init__(self, *, words: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._known: dict[Any, bool] = {"true": True, "false": False} if words else {True: True, False: False}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, (bool, str)) or value not in self._known:
            raise self.make_error("invalid", input=value)
        return self._known[value]


class Instant(fields.Field[datetime]):
    """An RFC 3339 time with its zone."""

    default_error_messages = {"invalid": "must be a time with a zone (2026-12-24T18:00:00Z)"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            if not INSTANT.fullmatch(value):
                raise ValueError
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            raise self.make_error("invalid") from None


class Timestamp(fields.DateTime):
    """RFC 3339 in UTC with microseconds and `Z`."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Cursor(fields.Field[tuple[datetime, int]]):
    """An opaque place in a list: the `created_at` and `id` of the last row seen."""

    default_error_messages = {"invalid": "is no cursor of ours"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[datetime, int]:
        try:
            at, id = orjson.loads(base64.b64decode(value, altchars=b"-_", validate=True))
            if type(id) is not int or not 0 < id <= BIGGEST_ID:
                raise ValueError
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is None:
                raise ValueError
            return instant.astimezone(UTC), id
        except (ValueError, TypeError, binascii.Error, OverflowError):
            raise self.make_error("invalid") from None

    @staticmethod
    def text(place: tuple[datetime, int]) -> str:
        """What reads as this place."""
        return base64.urlsafe_b64encode(orjson.dumps([place[0].isoformat(), place[1]])).decode()


def _no_nul(value: str) -> None:
    if "\x00" in value:
        raise ValidationError("must not contain the character NUL")


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("must not be blank")
