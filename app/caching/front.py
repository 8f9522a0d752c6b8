"""Hits before Flask is entered: no routing, no validation, no session, no SQL but the generations' (CACHE.md).

What a request was answered with says under which address it may be found again: path and query string as they came, to
the variant that they were validated to. Whatever is not found here, or not current, goes on to Flask.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from app import metrics
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
    :ivar endpoint: with the variant and, of a private answer, the owner: the entry's key.
    :ivar audiences: of a private answer: what its guard takes; None: it is public.
    """

    route: str
    endpoint: str
    variant: str
    audiences: tuple[str, ...] | None


class Front:
    """A WSGI middleware that answers hits."""

    def __init__(self, app: WSGIApplication, coherence: Coherence) -> None:
        self._app, self._coherence = app, coherence

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a hit; pass on anything else."""
        if environ["REQUEST_METHOD"] in READS:
            address = self._coherence.addresses.get((environ["PATH_INFO"], environ["QUERY_STRING"]))
            if address is not None:
                entry = self._private(address, environ) if address.audiences else self._public(address)
                if entry is not None:
                    return self._hit(address, entry, environ, start_response)
        return self._app(environ, start_response)

    def _public(self, address: Address) -> Entry | None:
        """The entry for everybody, if it is current."""
        coherence = self._coherence
        entry = coherence.near.get(key_of(address.endpoint, None, address.variant))
        if entry is None or entry.owner is not None or entry.expires_at <= time.time():
            return None
        return entry if coherence.known(entry.slots) == entry.generations else None

    def _private(self, address: Address, environ: WSGIEnvironment) -> Entry | None:
        """The entry of who asks, if it is current and so is his token: both are seen in one look."""
        header, coherence = environ.get("HTTP_AUTHORIZATION", ""), self._coherence
        if header[:7] != "Bearer ":
            return None
        verified = coherence.principals.remembered(header[7:], address.audiences or ())
        if verified is None:
            return None
        owner = verified.principal.user_id
        entry = coherence.near.get(key_of(address.endpoint, owner, address.variant))
        if entry is None or entry.owner != owner or entry.expires_at <= time.time():
            return None
        current = coherence.known(verified.slots + entry.slots)
        return entry if current == verified.generations + entry.generations else None

    def _hit(
        self, address: Address, entry: Entry, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        environ[metrics.ROUTE], environ[metrics.OUTCOME] = address.route, metrics.NEAR
        answer = self._coherence.answer(entry, environ.get("HTTP_ACCEPT_ENCODING", ""))
        status = ("Cache-Status", f"broadsheet; hit; ttl={int(entry.expires_at - time.time())}; detail=near")
        known = environ.get("HTTP_IF_NONE_MATCH")
        if known and unchanged(entry.etag, known):
            start_response("304 NOT MODIFIED", [*answer.not_modified, status])
            return ()
        start_response("200 OK", [*answer.headers, status])
        return () if environ["REQUEST_METHOD"] == "HEAD" else (answer.body,)
