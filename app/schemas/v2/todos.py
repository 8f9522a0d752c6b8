"""v2's todos."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from app.models.todo import LOWEST_PRIORITY, MOST_TAGS, TASK_LENGTH, ZONE_LENGTH
from app.schemas.base import BIGGEST_ID, Instant, Sort, Text, Timestamp, Truth, WholeNumber
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of
from app.schemas.v2.posts import TAGS, TagName
from app.services import recurrence
from app.services.todos import SORTS

DUE = {
    "type": "string",
    "format": "date-time",
    "example": "2026-12-24T18:00:00Z",
    "description": "RFC 3339, with a zone",
}
MOST_REMINDERS, LONGEST_MINUTES = 5, 40_320  # four weeks
REMIND = {"description": "minutes before `due_at`; each is told in the inbox and by mail", "example": [0, 60]}
REQUIRED = {"description": "its post cannot be published while it is open", "example": False}
RULE = {"description": "RFC 5545, by dates: the time of day is that of `due_at`", "example": "FREQ=WEEKLY;BYDAY=MO"}
MODE = {
    "description": "`fixed`: the next of the series; `after_completion`: reckoned from the day on which it is done",
    "example": recurrence.FIXED,
}


class Rule(Text):
    """A RRULE that we take."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        rule = super()._deserialize(value, attr, data, **kwargs).upper()
        try:
            recurrence.parsed(rule)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return rule


class RecurrenceV2(SchemaV2):
    """When a todo comes again."""

    rule = Rule(low=1, high=recurrence.RULE_LENGTH, required=True, metadata=RULE)
    mode = fields.String(
        validate=validate.OneOf([recurrence.FIXED, recurrence.AFTER_COMPLETION]),
        load_default=recurrence.FIXED,
        metadata=MODE,
    )


class TodoV2(SchemaV2):
    """A todo of one's own."""

    id = fields.Integer(metadata={"example": 3})
    task = fields.String(metadata={"example": "Buy ink"})
    done = fields.Boolean(metadata={"example": False})
    due_at = Timestamp(allow_none=True, metadata={"example": "2026-12-24T18:00:00.000000Z"})
    time_zone = fields.String(metadata={"example": "Europe/Berlin"})
    priority = fields.Integer(allow_none=True, metadata={"description": "1 is the highest", "example": 1})
    position = fields.Integer(metadata={"description": "by which `sort=position` sorts", "example": 2**50})
    tags = fields.List(fields.String(), metadata={"example": ["home"]})
    parent_id = fields.Integer(allow_none=True, metadata={"description": "what it is a subtask of", "example": None})
    post_id = fields.Integer(allow_none=True, metadata={"description": "the post that it belongs to", "example": 17})
    required = fields.Boolean(metadata=REQUIRED)
    remind_minutes_before = fields.List(fields.Integer(), metadata=REMIND)
    recurrence = fields.Nested(RecurrenceV2, allow_none=True)
    completed_count = fields.Integer(metadata={"description": "how often it was done", "example": 4})
    last_done_at = Timestamp(allow_none=True, metadata={"example": "2026-12-17T18:00:00.000000Z"})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})


TodoPageV2 = page_of(TodoV2, "TodoPageV2")


def _id(what: str, **options: Any) -> WholeNumber:
    return WholeNumber(low=1, high=BIGGEST_ID, metadata={"description": what, "example": None}, **options)


class TodoUpdateV2(SchemaV2):
    """What of a todo to change."""

    task = Text(low=1, high=TASK_LENGTH, metadata={"example": "Buy ink"})
    done = Truth(metadata={"description": "true on what recurs: it stays open and moves to its next date"})
    due_at = Instant(allow_none=True, metadata=DUE)
    time_zone = Text(low=1, high=ZONE_LENGTH, metadata={"description": "IANA's name", "example": "Europe/Berlin"})
    priority = WholeNumber(low=1, high=LOWEST_PRIORITY, allow_none=True, metadata={"example": 1})
    before = _id("put it before this one in the order of `position`")
    after = _id("put it after this one")
    tags = fields.List(TagName(), validate=validate.Length(max=MOST_TAGS), metadata=TAGS | {"example": ["home"]})
    parent_id = _id("of what it is to be a subtask; one level", allow_none=True)
    post_id = _id("the post of one's own that it belongs to", allow_none=True)
    required = Truth(metadata=REQUIRED)
    remind_minutes_before = fields.List(
        WholeNumber(low=0, high=LONGEST_MINUTES), validate=validate.Length(max=MOST_REMINDERS), metadata=REMIND
    )
    recurrence = fields.Nested(RecurrenceV2, allow_none=True)

    @validates_schema(skip_on_field_errors=False)
    def whole(self, data: dict[str, Any], **_: Any) -> None:
        """What is wrong with more than a field's form."""
        if data.get("time_zone", "UTC") not in recurrence.zones():
            raise ValidationError("is no time zone that we know", "time_zone")
        if {"before", "after"} <= data.keys():
            raise ValidationError("must not be given with after", "before")

    @post_load
    def distinct(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Each tag and each reminder once."""
        tags = {"tags": list(dict.fromkeys(data["tags"]))} if "tags" in data else {}
        name = "remind_minutes_before"
        return data | tags | ({name: sorted(set(data[name]))} if name in data else {})


class TodoCreateV2(TodoUpdateV2):
    """A new todo."""

    task = Text(low=1, high=TASK_LENGTH, required=True, metadata={"example": "Buy ink"})


class TodoQueryV2(PageQueryV2):
    """Which todos to list."""

    done = Truth(words=True, load_default=None, metadata={"description": "only such"})
    overdue = Truth(
        words=True, load_default=None, metadata={"description": "only what is open and was due before now; or all else"}
    )
    tag = TagName(load_default=None, metadata={"description": "with this tag"})
    priority = WholeNumber(low=1, high=LOWEST_PRIORITY, load_default=None, metadata={"description": "of this priority"})
    parent_id = _id("subtasks of this todo", load_default=None)
    post_id = _id("of this post", load_default=None)
    sort = Sort(
        *SORTS,
        load_default="created",
        metadata={"type": "string", "description": "`-` descends; what has none counts as last", "example": "due_at"},
    )
