"""Some hits are computed anew and compared: under the same generations they must be the same (CACHE.md, proof 8)."""

from __future__ import annotations

import itertools
import logging
import threading
from typing import TYPE_CHECKING
from wsgiref.types import WSGIEnvironment

from flask import Flask

from app import metrics
from app.caching import clean
from app.caching.entry import Entry
from app.services.atomic import end_read

if TYPE_CHECKING:
    from app.caching.coherence import Coherence

log = logging.getLogger(__name__)
OBSERVING = "broadsheet.observing"  # the environ's key: compute, whatever is kept, and keep nothing


class Observer:
    """Looks at one hit in `every` (0: none), one at a time, beside the requests."""

    def __init__(self, app: Flask, coherence: Coherence, every: int) -> None:
        self._app, self._coherence, self._every = app, coherence, every
        self._turns = itertools.count(1)
        self._busy = threading.Lock()

    def saw(self, entry: Entry, route: str, environ: WSGIEnvironment) -> None:
        """Told of each hit of the front."""
        if self._every and next(self._turns) % self._every == 0 and self._busy.acquire(blocking=False):
            asked = (environ["PATH_INFO"].encode("latin-1").decode(), environ.get("QUERY_STRING", ""))
            token = environ.get("HTTP_AUTHORIZATION") if entry.owner is not None else None
            threading.Thread(target=self._look, args=(entry, route, *asked, token), daemon=True).start()

    def _look(self, entry: Entry, route: str, path: str, query: str, token: str | None) -> None:
        try:
            with self._app.app_context():
                found = self._compared(entry, path, query, token)
        except Exception:
            log.exception("a hit could not be computed anew")
            found = "failed"
        finally:
            self._busy.release()
        metrics.observed(route, found)
        if found == "different":
            log.error("%s?%s: what is kept is not what is computed, under the same generations", path, query)

    def _compared(self, entry: Entry, path: str, query: str, token: str | None) -> str:
        """The generations are asked for before and after: what a writer has changed meanwhile tells nothing."""
        coherence = self._coherence
        if coherence.current(entry.slots) != entry.generations:
            return "moved"
        end_read()
        more = {OBSERVING: True} | ({"HTTP_AUTHORIZATION": token} if token else {})
        with clean.get(self._app, path, query, more):
            answer = self._app.full_dispatch_request()
        coherence.settle()
        if answer.status_code != 200 or coherence.current(entry.slots) != entry.generations:
            return "moved"
        return "same" if answer.get_data() == entry.body else "different"
