"""Content codings (RFC 9110 §8.4.1): which one a client takes, and the tags of what is coded."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import lru_cache

import brotli
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

LEAST_BYTES = 1024  # a smaller body fits into the first packets as it is
# The first that a client takes is given to it. Quality 5 is made in a time like gzip's, and smaller.
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda body: bytes(brotli.compress(body, mode=brotli.MODE_TEXT, quality=5)),
    "gzip": lambda body: gzip.compress(body, 6, mtime=0),
}


@lru_cache(512)
def taken(accept_encoding: str) -> str:
    """The coding for a client that says so; empty: the identity."""
    accepted = parse_accept_header(accept_encoding, Accept)
    return next((coding for coding in CODINGS if accepted.quality(coding) > 0), "")


def coded(etag: str, coding: str) -> str:
    """The strong tag of a coded body: another than that of the identity (RFC 9110 §8.8.3.3)."""
    return f'{etag[:-1]}-{coding}"' if coding else etag


def tags_of(etag: str) -> tuple[str, ...]:
    """The opaque tags, without quotes, under which one state may be known to clients."""
    return tuple(coded(etag, coding).strip('"') for coding in ("", *CODINGS))
