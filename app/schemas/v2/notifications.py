"""v2's inbox."""

from marshmallow import fields

from app.schemas.base import BIGGEST_ID, Timestamp, Truth, WholeNumber
from app.schemas.v2 import SchemaV2
from app.schemas.v2.pages import PageQueryV2, page_of

KINDS = (
    "`post_published` and `post_deleted`: one's own; `new_post`; `welcome`; `new_follower`; `password_changed`; "
    "`todo_due`"
)


class NotifiedPostV2(SchemaV2):
    """The post that a notification is about."""

    id = fields.Integer(metadata={"example": 17})
    title = fields.String(metadata={"example": "Hello"})
    author_id = fields.Integer(attribute="user_id", metadata={"example": 1})


class NotificationV2(SchemaV2):
    """What a user was told. `post` is null once it is not published any more, or where it is about none."""

    id = fields.Integer(metadata={"example": 5})
    kind = fields.String(metadata={"description": KINDS, "example": "new_post"})
    post = fields.Nested(NotifiedPostV2, allow_none=True)
    actor_id = fields.Integer(allow_none=True, metadata={"description": "of `new_follower`: who", "example": None})
    todo_id = fields.Integer(allow_none=True, metadata={"description": "of `todo_due`: which", "example": None})
    created_at = Timestamp(metadata={"example": "2026-11-20T14:17:00.000000Z"})
    read_at = Timestamp(allow_none=True, metadata={"example": "2026-11-20T15:00:00.000000Z"})


NotificationPageV2 = page_of(NotificationV2, "NotificationPageV2")


class NotificationQueryV2(PageQueryV2):
    """Which notifications to list."""

    unread = Truth(words=True, load_default=None, metadata={"description": "only unread ones, or only read ones"})


class UnreadV2(SchemaV2):
    """How much is unread."""

    unread = fields.Integer(metadata={"example": 2})


class MarkReadV2(SchemaV2):
    """How far the inbox was read."""

    up_to = WholeNumber(
        low=1,
        high=BIGGEST_ID,
        load_default=None,
        metadata={"description": "the highest id that was seen; without it, all", "example": 41},
    )


class MarkedV2(SchemaV2):
    """How many were marked."""

    marked = fields.Integer(metadata={"example": 2})
