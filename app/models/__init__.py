"""The tables: columns, constraints, relationships. No queries."""

from app.models.follow import Follow
from app.models.idempotency import IdempotencyKey
from app.models.imported import Imported
from app.models.notification import Digest, Notification
from app.models.outbox import OutboxMessage
from app.models.post import Post, PostAlias, PostTag
from app.models.preference import Mute, Preference, Switch
from app.models.session import Session
from app.models.statistics import Statistic, StatisticsRefresh
from app.models.todo import Todo, TodoReminder
from app.models.user import User
from app.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "Digest",
    "Follow",
    "IdempotencyKey",
    "Imported",
    "Mute",
    "Notification",
    "OutboxMessage",
    "Post",
    "PostAlias",
    "PostTag",
    "Preference",
    "Session",
    "Statistic",
    "StatisticsRefresh",
    "Switch",
    "Todo",
    "TodoReminder",
    "User",
    "Webhook",
    "WebhookDelivery",
]
