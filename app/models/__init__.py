"""The tables: columns, constraints, relationships. No queries."""

from app.models.follow import Follow
from app.models.idempotency import IdempotencyKey
from app.models.imported import Imported
from app.models.notification import Notification
from app.models.outbox import OutboxMessage
from app.models.post import Post, PostAlias, PostTag
from app.models.session import Session
from app.models.statistics import Statistic, StatisticsRefresh
from app.models.todo import Todo, TodoReminder
from app.models.user import User

__all__ = [
    "Follow",
    "IdempotencyKey",
    "Imported",
    "Notification",
    "OutboxMessage",
    "Post",
    "PostAlias",
    "PostTag",
    "Session",
    "Statistic",
    "StatisticsRefresh",
    "Todo",
    "TodoReminder",
    "User",
]
