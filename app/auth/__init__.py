"""Who is asking."""

from app.auth.guards import Guards, current_session_id, current_user

__all__ = ["Guards", "current_session_id", "current_user"]
