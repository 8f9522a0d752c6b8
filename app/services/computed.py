"""What is not read but computed, and good for a while: `@returns` lets its answer be kept no longer than that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.models.base import now

AGAIN_SECONDS = 10  # how long an answer is kept whose time has run out, while it is computed anew


@dataclass(frozen=True)
class Computed:
    """What is shown of it, when it was computed, and until when that is good.

    Of several parts: when the oldest was computed, until when the first of them is good.
    """

    content: dict[str, Any]
    computed_at: datetime
    expires_at: datetime

    @property
    def timeout(self) -> int:
        """For how many seconds an answer of it may be kept."""
        return max(AGAIN_SECONDS, int((self.expires_at - now()).total_seconds()))
