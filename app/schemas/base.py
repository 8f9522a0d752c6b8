"""What the schemas of all versions share: bounded texts, strict numbers, times."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any

from marshmallow import ValidationError, fields, missing, validate

from app.extensions import ma
from app.models.base import written
from app.services.page import Place

BIGGEST_ID = 2**63 - 1
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DATE = r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME = r"(?:[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])?$"
BIRTH = re.compile(DATE + TIME, re.ASCII)
MOBILE = (validate.Length(3, 32), validate.Regexp(r"^\+?[ ()/.-]*[0-9][0-9 ()/.-]*\Z", re.ASCII))
USERNAME = {"low": 1, "high": 80}
PASSWORD = {"low": 8, "high": 128}
BLANKS = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # of str.strip
ANY_TEXT = r"^[^\u0000]*$"
VISIBLE_TEXT = rf"^[^\u0000]*[^\u0000{BLANKS}][^\u0000]*$"
WHOLE_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


class Schema(ma.Schema):  # type: ignore[name-defined, misc]
    """The base of every schema.

    `missing`: field names -> the message of the whole answer when one of them is missing (the tutorials' texts).
    """

    missing: tuple[frozenset[str], str] | None = None

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """What marshmallow makes of it, where no hook has a say, but models and rows are not tried as dicts first."""
        if self.many if many is None else many:
            return [self.dump(one, many=False) for one in obj]
        if isinstance(obj, dict):
            return super().dump(obj, many=False)
        written = ((key, write(obj)) for key, write in self._columns)
        return {key: value for key, value in written if value is not missing}

    @functools.cached_property
    def _columns(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """Each field's key, and what gives its value. A text, a number, a truth of a column is what it is."""
        return [
            (
                field.data_key or name,
                attrgetter(field.attribute or name)
                if type(field) in (fields.String, fields.Integer, fields.Boolean)
                else functools.partial(field.serialize, name, accessor=_attribute),
            )
            for name, field in self.dump_fields.items()
        ]


class Text(fields.String):
    """A string of `low` to `high` characters, without NUL (PostgreSQL refuses it). Not stripped."""

    def __init__(self, *, low: int = 0, high: int, **kwargs: Any) -> None:
        blank = "must not be blank" if low else None
        length = validate.Length(low, high, error=blank if low == high else None)
        described = _described(kwargs, VISIBLE_TEXT if low else ANY_TEXT)
        super().__init__(validate=[length, _no_nul, *([_not_blank] if low else [])], **described)


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
        return written(value)


class Cursor(fields.Field[Place]):
    """An opaque place in a list."""

    default_error_messages = {"invalid": "is no cursor of ours"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, "^[A-Za-z0-9_-]+=*$"))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Place:
        try:
            return Place.parse(value)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise self.make_error("invalid") from None


class Birth(fields.String):
    """A date, or a date and time with a space or `T`; kept as it came."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, DATE + TIME))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            if not BIRTH.fullmatch(text):
                raise ValueError
            (datetime if len(text) > 10 else date).fromisoformat(text)
        except ValueError:
            raise ValidationError("must be a date, or a date and time (2023-08-23 12:30:59)") from None
        return text


class Names(fields.Field[tuple[str, ...]]):
    """Names of a white list, separated by commas."""

    default_error_messages = {"invalid": "must be some of: {choices}, separated by commas"}

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, _list_of("|".join(choices))))
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else []
        if not names or not set(names) <= set(self.choices):
            raise self.make_error("invalid", choices=", ".join(self.choices))
        return tuple(name for name in self.choices if name in names)  # one spelling


class Sort(fields.Field[str]):
    """Names of a white list, separated by commas, each once; with `-` before it a name descends."""

    default_error_messages = {"invalid": "must be some of: {choices}, separated by commas, `-` for descending"}

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, _list_of(f"-?(?:{'|'.join(choices)})")))
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        names = [part.removeprefix("-") for part in value.split(",")] if isinstance(value, str) else []
        if not names or not set(names) <= set(self.choices) or len(names) != len(set(names)):
            raise self.make_error("invalid", choices=", ".join(self.choices))
        return str(value)


class IfLoaded(fields.Nested):
    """Something related, where the query has loaded it; absent else."""

    def get_value(self, obj: Any, attr: str, accessor: Any = None, default: Any = missing) -> Any:
        """What marshmallow dumps."""
        return vars(obj).get(self.attribute or attr, missing)


def _attribute(thing: Any, path: str, default: Any) -> Any:
    return attrgetter(path)(thing)


def _described(kwargs: dict[str, Any], pattern: str) -> dict[str, Any]:
    """A field's arguments, with what Swagger says of its text."""
    return kwargs | {"metadata": {"type": "string", "pattern": pattern} | kwargs.get("metadata", {})}


def _list_of(name: str) -> str:
    return f"^(?:{name})(?:,(?:{name}))*$"


def _no_nul(value: str) -> None:
    if "\x00" in value:
        raise ValidationError("must not contain the character NUL")


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("must not be blank")
