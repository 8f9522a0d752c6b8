"""The task that computes statistics anew. Named as the subscriber in `app/events.py`."""

from __future__ import annotations

from app.caching import fragments
from app.services import statistics
from app.tasks.delivery import delivers


@delivers
def refresh_statistics(event_id: str, refresh_id: int) -> None:
    """Compute them, then let go of the fragments of the old ones."""
    statistics.run_refresh(event_id, refresh_id)
    fragments.forget_numbers()
