"""Verified tokens kept near, under the generations of their user's sessions: whatever ends one moves them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from app import tokens
from app.auth import Principal
from app.caching.dependencies import SESSION
from app.caching.generations import Generations
from app.services import sessions
from app.services.atomic import end_read


@dataclass(frozen=True, slots=True)
class Verified:
    """A token's principal, and the generations noted before the database was asked about him."""

    principal: Principal
    audience: str
    expires_at: int
    generations: Generations


class RememberedPrincipals:
    """The tokens that were used last, bounded in number. See `app.auth.principal.Principals`.

    :param current: the present generations of slots, None where they cannot be known: then nothing is remembered.
    """

    def __init__(self, current: Callable[[tuple[int, ...]], Generations | None], most: int) -> None:
        self._current = current
        self._most = most
        self._verified: OrderedDict[str, Verified] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._verified)

    def of(self, token: str, audiences: Collection[str]) -> Principal:
        """See `Principals`. What is remembered is used for the audience that it was verified for, until it expires."""
        former = self._get(token)
        if former is not None and former.audience in audiences and self._still_good(former):
            return former.principal
        read = tokens.read(token, audiences)
        noted = self._current(SESSION.member(read.user_id))
        end_read()  # a transaction begun before the note would answer with what was before it
        principal = Principal(read.user_id, read.session_id, sessions.actor(read.user_id, read.session_id).is_admin)
        end_read()  # the answer may be computed on another connection: hold none meanwhile
        if noted is not None:
            self._keep(token, Verified(principal, read.audience, read.expires_at, noted))
        return principal

    def _still_good(self, former: Verified) -> bool:
        if time.time() >= former.expires_at + tokens.LEEWAY.total_seconds():
            return False
        return self._current(SESSION.member(former.principal.user_id)) == former.generations

    def _get(self, token: str) -> Verified | None:
        with self._lock:
            if token in self._verified:
                self._verified.move_to_end(token)
            return self._verified.get(token)

    def _keep(self, token: str, verified: Verified) -> None:
        with self._lock:
            self._verified[token] = verified
            self._verified.move_to_end(token)
            while len(self._verified) > self._most:
                self._verified.popitem(last=False)
