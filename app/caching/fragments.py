"""What several answers are made of: memoized, under a key that says which state it is of. Nothing is current by it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from app.caching import audit, cache
from app.errors import Problem, TryAgain
from app.services import statistics
from app.services.computed import Computed

LONGEST_LIFETIME_SECONDS = int(max(part.lifetime for part in statistics.PARTS.values()).total_seconds())

log = logging.getLogger(__name__)


@cache.memoize(timeout=LONGEST_LIFETIME_SECONDS)
def numbers(part: str, computed_at: datetime) -> dict[str, Any] | None:
    """What was computed of this part of the statistics at that time; None: it is there no more."""
    return statistics.numbers(part, computed_at)


def forget_numbers() -> None:
    """Let go of what nobody will ask for again."""
    cache.delete_memoized(numbers)


def statistics_of(*parts: str) -> dict[str, Computed]:
    """These parts of the statistics. What never was computed is, now; what is old is computed anew by a task.

    :raises TryAgain: it was computed just now: the whole handler is to run once more, under the present generations.
    """
    times = statistics.times(parts)
    if len(times) < len(parts):
        with audit.aside():
            statistics.compute_missing(parts)
        current_app.extensions["coherence"].settle()  # this answer tells of a write, though it is a GET's
        raise TryAgain
    if expired := statistics.expired(times):
        _ask_for(expired)
    return {part: statistics.shown(part, times[part], _numbers(part, times[part])) for part in parts}


def _ask_for(expired: tuple[str, ...]) -> None:
    """A database that takes no writes is no reason not to show what is there."""
    try:
        with audit.aside():
            statistics.ask_for_expired(expired)
    except (SQLAlchemyError, Problem) as error:
        log.warning("statistics are old, and nobody could be asked for new ones: %r", error)


def _numbers(part: str, computed_at: datetime) -> dict[str, Any]:
    found = numbers(part, computed_at)
    if found is None:  # computed anew since its time was read
        raise TryAgain
    return found
