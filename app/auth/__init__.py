"""Who is asking."""

from app.auth.guards import Guards, assume, current_session_id, current_user

__all__ = ["Guards", "assume", "current_session_id", "current_user"]
