"""An entry: a finished answer and the generations it was made under. No pickle, no model."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import orjson
from flask import Response

LARGEST_BODY = 1_000_000
# What the answer is about. All else (date, request id, CORS) belongs to the one request.
KEPT_HEADERS = ("Content-Type", "Link", "X-Total-Count", "Last-Modified", "Deprecation", "Sunset")
OVERHEAD_BYTES = 1024  # of an entry beside its body, roughly


@dataclass(frozen=True, slots=True)
class Entry:
    """A 200 answer.

    :ivar key: route and canonical variant.
    :ivar owner: the id of the user who alone may see it; None: everybody may.
    :ivar generations: of its tags' slots, noted before the data was read.
    :ivar expires_at: seconds since the epoch; for hygiene only.
    """

    key: str
    owner: int | None
    generations: tuple[int, ...]
    expires_at: float
    etag: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes in the near cache."""
        return len(self.body) + len(self.key) + OVERHEAD_BYTES

    def fits(self, key: str, owner: int | None, generations: tuple[int, ...]) -> bool:
        """Whether it may be served for this key, to him, while these are current."""
        asked = (key, owner, generations)
        return (self.key, self.owner, self.generations) == asked and self.expires_at > time.time()

    def to_bytes(self) -> bytes:
        """For the far cache: a line of JSON, then the body."""
        head = [self.key, self.owner, self.generations, self.expires_at, self.etag, self.headers]
        return orjson.dumps(head) + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: object) -> Entry | None:
        """What `to_bytes` made; None for anything else, since Redis may hold anything."""
        if not isinstance(data, bytes):
            return None
        line, _, body = data.partition(b"\n")
        try:
            key, owner, generations, expires_at, etag, headers = orjson.loads(line)
            pairs = tuple((str(name), str(value)) for name, value in headers if name in KEPT_HEADERS)
            entry = cls(str(key), owner, tuple(generations), float(expires_at), str(etag), pairs, body)
        except (ValueError, TypeError):
            return None
        return entry if entry.etag == etag_of(body) else None


def etag_of(body: bytes) -> str:
    """A strong validator of the identity body (RFC 9110 §8.8.3)."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def entry_of(response: Response, key: str, owner: int | None, generations: tuple[int, ...], timeout: float) -> Entry:
    """The entry of a finished answer."""
    body = response.get_data()
    headers = tuple((name, response.headers[name]) for name in KEPT_HEADERS if name in response.headers)
    return Entry(
        key, owner, generations, time.time() + timeout, response.headers.get("ETag") or etag_of(body), headers, body
    )
