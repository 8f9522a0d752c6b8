"""An entry: a finished answer and the generations it was made under. No pickle, no model."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

import orjson
from flask import Response
from werkzeug.http import parse_etags

from app.caching import codings

LARGEST_BODY = 1_000_000
# What the answer is about. All else (date, request id, CORS) belongs to the one request.
KEPT_HEADERS = ("Content-Type", "Link", "X-Total-Count", "Last-Modified", "Deprecation", "Sunset")
OVERHEAD_BYTES = 1024  # of an entry beside its body, roughly
# Keep it, but ask: any max-age could be stale. What is kept is validated at each hit, so its age is none, but for what
# was computed at some time: that has the age of the numbers.
PUBLIC = [("Cache-Control", "public, no-cache"), ("Vary", "Accept-Encoding")]
PRIVATE = [("Cache-Control", "private, no-cache"), ("Vary", "Authorization, Accept-Encoding")]
AGELESS = ("Age", "0")


@dataclass(frozen=True, slots=True)
class Coded:
    """A finished answer in one content coding.

    :ivar headers: of a 200, but for those of the single request.
    :ivar not_modified: of a 304 (RFC 9110 §15.4.5).
    :ivar size: bytes that it takes beside its entry.
    """

    etag: str
    body: bytes
    headers: list[tuple[str, str]]
    not_modified: list[tuple[str, str]]
    size: int


def unchanged(etag: str, if_none_match: str) -> bool:
    """Whether the client has that state already (RFC 9110 §13.1.2), in whichever coding. Last-Modified is never
    compared: it counts in seconds, and two states may share one.
    """
    if if_none_match == etag:
        return True
    known = parse_etags(if_none_match)
    return any(known.contains_weak(tag) for tag in codings.tags_of(etag))


@dataclass(frozen=True, slots=True)
class Entry:
    """A 200 answer.

    :ivar key: route and canonical variant.
    :ivar owner: the id of the user who alone may see it; None: everybody may.
    :ivar slots: of its tags; a function of the key.
    :ivar generations: of these slots, noted before the data was read.
    :ivar expires_at: seconds since the epoch; for hygiene only.
    :ivar computed_at: seconds since the epoch, of what is computed now and then; None: it is of now, at each hit.
    :ivar coded: its answer in each content coding that was asked for so far; the empty one is the identity.
    """

    key: str
    owner: int | None
    slots: tuple[int, ...]
    generations: tuple[int, ...]
    expires_at: float
    etag: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    computed_at: float | None = None
    coded: dict[str, Coded] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Bytes that it takes in the near cache."""
        return len(self.body) + len(self.key) + OVERHEAD_BYTES + sum(c.size for c in list(self.coded.values()))

    def answer(self, accept_encoding: str) -> Coded:
        """The answer for a client that says so; made once for each coding."""
        coding = codings.taken(accept_encoding) if accept_encoding and len(self.body) >= codings.LEAST_BYTES else ""
        made = self.coded.get(coding)
        if made is None:
            made = self.coded[coding] = self._made(coding)
        return made

    def _made(self, coding: str) -> Coded:
        body = codings.CODINGS[coding](self.body) if coding else self.body
        etag = codings.coded(self.etag, coding)
        always = [("ETag", etag), *(PUBLIC if self.owner is None else PRIVATE)]
        always += [AGELESS] if self.computed_at is None else []
        about = [*self.headers, ("Content-Length", str(len(body))), *([("Content-Encoding", coding)] if coding else [])]
        return Coded(etag, body, [*about, *always], always, len(body) + OVERHEAD_BYTES if coding else 0)

    def age(self, now: float) -> tuple[str, str]:
        """Its `Age` (RFC 9111 §5.1)."""
        return AGELESS if self.computed_at is None else age_of(self.computed_at, now)

    def fits(self, key: str, owner: int | None, slots: tuple[int, ...], generations: tuple[int, ...]) -> bool:
        """Whether it may be served for this key, to him, while these generations of these slots are current."""
        asked = (key, owner, slots, generations)
        return (self.key, self.owner, self.slots, self.generations) == asked and self.expires_at > time.time()

    def to_bytes(self) -> bytes:
        """For the far cache: a line of JSON, then the body."""
        asked = [self.key, self.owner, self.slots, self.generations]
        head = [*asked, self.expires_at, self.etag, self.headers, self.computed_at]
        return orjson.dumps(head) + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: object) -> Entry | None:
        """What `to_bytes` made; None for anything else, since Redis may hold anything."""
        if not isinstance(data, bytes):
            return None
        line, _, body = data.partition(b"\n")
        try:
            key, owner, slots, generations, until, etag, headers, at = orjson.loads(line)
            pairs = tuple((str(name), str(value)) for name, value in headers if name in KEPT_HEADERS)
            at = None if at is None else float(at)
            entry = cls(str(key), owner, tuple(slots), tuple(generations), float(until), str(etag), pairs, body, at)
        except (ValueError, TypeError):
            return None
        return entry if entry.etag == etag_of(body) else None


def etag_of(body: bytes) -> str:
    """A strong validator of the identity body (RFC 9110 §8.8.3)."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def age_of(computed_at: float, now: float) -> tuple[str, str]:
    """The `Age` of what was computed then."""
    return "Age", str(max(0, int(now - computed_at)))


def entry_of(
    response: Response,
    key: str,
    owner: int | None,
    slots: tuple[int, ...],
    generations: tuple[int, ...],
    timeout: float,
) -> Entry:
    """The entry of a finished answer."""
    body = response.get_data()
    headers = tuple((name, response.headers[name]) for name in KEPT_HEADERS if name in response.headers)
    etag = response.headers.get("ETag") or etag_of(body)
    at = getattr(response, "computed_at", None)
    return Entry(key, owner, slots, generations, time.time() + timeout, etag, headers, body, at)
