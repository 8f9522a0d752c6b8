"""Who is asking."""

from app.auth.guards import Guards, assume, current_session_id, current_user, current_user_id
from app.auth.principal import PRINCIPALS, Principal

__all__ = ["PRINCIPALS", "Guards", "Principal", "assume", "current_session_id", "current_user", "current_user_id"]
