"""Hits before Flask is entered: no routing, no validation, no session, no SQL but the generations' (CACHE.md).

What a request was answered with says under which address it may be found again: path and query string as they came, to
the variant that they were validated to. Whatever is not found here, or not current, goes on to Flask.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from app.caching.entry import Entry, unchanged
from app.caching.variant import key_of

if TYPE_CHECKING:
    from app.caching.coherence import Coherence

READS = ("GET", "HEAD")
ADDRESS_BYTES = 300  # of an address beside its text, roughly


@dataclass(frozen=True, slots=True)
class Address:
    """Where the answer to a path and query string is kept.

    :ivar route: as it was registered, for the counters.
    :ivar key: of a public answer's entry.
    :ivar endpoint: of a private answer: with its owner and the variant the entry's key.
    :ivar audiences: of a private answer: what its guard takes; None: it is public.
    """

    route: str
    key: str
    endpoint: str
    variant: str
    audiences: tuple[str, ...] | None


class Gate(Protocol):
    """What stands before every answer, a hit too: see `app.edge.Edge`."""

    def admits(self, environ: WSGIEnvironment) -> bool:
        """Whether there is nothing to say against the request."""

    def always(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        """The headers of every answer to it."""

    def note_hit(self, environ: WSGIEnvironment, route: str, status: str, began: float) -> None:
        """Log and count it."""


class Front:
    """A WSGI middleware that answers hits, as the gate would."""

    def __init__(self, app: WSGIApplication, gate: Gate, coherence: Coherence) -> None:
        self._app, self._gate, self._coherence = app, gate, coherence

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a hit; pass on anything else."""
        if environ["REQUEST_METHOD"] in READS:
            address = self._coherence.addresses.get((environ["PATH_INFO"], environ.get("QUERY_STRING", "")))
            if address is not None and self._gate.admits(environ):
                now = time.time()
                find = self._public if address.audiences is None else self._private
                entry = find(address, environ, now)
                if entry is not None:
                    return self._hit(address, entry, environ, start_response, now)
        return self._app(environ, start_response)

    def _public(self, address: Address, environ: WSGIEnvironment, now: float) -> Entry | None:
        """The entry for everybody, if it is current."""
        entry = self._coherence.near.get(address.key)
        if entry is None or entry.owner is not None or entry.expires_at <= now:
            return None
        return entry if self._coherence.known(entry.slots) == entry.generations else None

    def _private(self, address: Address, environ: WSGIEnvironment, now: float) -> Entry | None:
        """The entry of who asks, if it is current and so is his token: both are seen in one look."""
        header, coherence = environ.get("HTTP_AUTHORIZATION", ""), self._coherence
        if header[:7] != "Bearer ":
            return None
        verified = coherence.principals.remembered(header[7:], address.audiences or ())
        if verified is None:
            return None
        owner = verified.principal.user_id
        entry = coherence.near.get(key_of(address.endpoint, owner, address.variant))
        if entry is None or entry.owner != owner or entry.expires_at <= now:
            return None
        current = coherence.known(verified.slots + entry.slots)
        return entry if current == verified.generations + entry.generations else None

    def _hit(
        self, address: Address, entry: Entry, environ: WSGIEnvironment, start_response: StartResponse, now: float
    ) -> list[bytes]:
        answer = self._coherence.answer(entry, environ.get("HTTP_ACCEPT_ENCODING", ""))
        known = environ.get("HTTP_IF_NONE_MATCH")
        unmodified = known is not None and unchanged(entry.etag, known)
        status, headers = ("304 NOT MODIFIED", answer.not_modified) if unmodified else ("200 OK", answer.headers)
        ours = ("Cache-Status", f"broadsheet; hit; ttl={int(entry.expires_at - now)}; detail=near")
        aged = [] if entry.computed_at is None else [entry.age(now)]
        start_response(status, [*headers, ours, *aged, *self._gate.always(environ)])
        self._gate.note_hit(environ, address.route, status, now)
        self._coherence.observer.saw(entry, address.route, environ)
        return [] if unmodified or environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
