"""Who a verified token speaks for, and where that is asked at a read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

PRINCIPALS = "principals"  # the key in `app.extensions`


@dataclass(frozen=True, slots=True)
class Principal:
    """A user in one of his sessions."""

    user_id: int
    session_id: str
    is_admin: bool


class Principals(Protocol):
    """What knows whom tokens speak for. It may remember, but it is never older than the database."""

    def of(self, token: str, audiences: Collection[str]) -> Principal:
        """Who shows this token, at one of these audiences.

        :raises Unauthorized: `invalid_token`, `expired_token` or `revoked_token`.
        """
