"""Verified tokens kept near, under the generations of their user's sessions: whatever ends one moves them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from app import tokens
from app.auth import Principal
from app.caching.dependencies import SESSION
from app.caching.generations import Generations
from app.caching.near import Clock
from app.services import sessions
from app.services.atomic import end_read

LARGEST_TOKEN = 1024  # bytes; ours have some 400


@dataclass(frozen=True, slots=True)
class Verified:
    """A token's principal, and the generations of his sessions noted before the database was asked about him."""

    principal: Principal
    audience: str
    expires_at: float
    slots: tuple[int, ...]
    generations: Generations


class RememberedPrincipals:
    """The tokens that were used last, bounded in number. See `app.auth.principal.Principals`.

    :param current: the present generations of slots, None where they cannot be known: then nothing is remembered.
    """

    def __init__(self, current: Callable[[tuple[int, ...]], Generations | None], most: int) -> None:
        self._current = current
        self._verified: Clock[str, Verified] = Clock(most, most * LARGEST_TOKEN)

    def __len__(self) -> int:
        return len(self._verified)

    def of(self, token: str, audiences: Collection[str]) -> Principal:
        """See `Principals`. What is remembered is used for the audience that it was verified for, until it expires."""
        former = self.remembered(token, audiences)
        if former is not None and self._current(former.slots) == former.generations:
            return former.principal
        read = tokens.read(token, audiences)
        slots = SESSION.member(read.user_id)
        noted = self._current(slots)
        end_read()  # a transaction begun before the note would answer with what was before it
        principal = Principal(read.user_id, read.session_id, sessions.actor(read.user_id, read.session_id).is_admin)
        end_read()  # the answer may be computed on another connection: hold none meanwhile
        if noted is not None:
            until = read.expires_at + tokens.LEEWAY.total_seconds()
            self._verified.put(token, Verified(principal, read.audience, until, slots, noted), len(token))
        return principal

    def remembered(self, token: str, audiences: Collection[str]) -> Verified | None:
        """What is known of a token that has not expired: good as long as its generations are the current ones."""
        known = self._verified.get(token)
        return known if known is not None and known.audience in audiences and time.time() < known.expires_at else None
