"""The tables: columns, constraints, relationships. No queries."""

from app.models.notification import Notification
from app.models.outbox import OutboxMessage
from app.models.post import Post
from app.models.session import Session
from app.models.user import User

__all__ = ["Notification", "OutboxMessage", "Post", "Session", "User"]
