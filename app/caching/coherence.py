"""What an app knows of its cache."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import make_url

from app.caching import triggers
from app.caching.dependencies import FAMILIES
from app.caching.entry import Coded, Entry
from app.caching.flight import Flights, Runway
from app.caching.front import Address
from app.caching.generations import Generations, Source, source_for
from app.caching.leased import LeasedSource
from app.caching.near import Clock
from app.caching.observer import Observer
from app.caching.principals import RememberedPrincipals
from app.extensions import db

log = logging.getLogger(__name__)
CHECK_EVERY_SECONDS = 10.0


class Coherence:
    """What one app keeps, its source of generations, its flights, and whether the triggers are right."""

    def __init__(self, app: Flask) -> None:
        most, most_bytes = app.config["CACHE_THRESHOLD"], app.config["CACHE_NEAR_BYTES"]
        self.near: Clock[str, Entry] = Clock(most, most_bytes)
        self.addresses: Clock[tuple[str, str], Address] = Clock(most, most_bytes // 8)
        self.principals = RememberedPrincipals(self.current, most)
        self.source = _source(app.config)
        self.flights = Flights()
        self.runway = Runway(Path(app.config["DATA_DIR"]) / "cache" / "flights")
        self.release = _release()
        self.observer = Observer(app, self, app.config["CACHE_OBSERVE"])
        self._sound = False
        self._check_at = 0.0
        self._checking = threading.Lock()

    def is_sound(self) -> bool:
        """Whether the database moves generations as the page says: asked every CHECK_EVERY_SECONDS by one request, and
        first of all by one for which all wait.
        """
        if time.monotonic() >= self._check_at and self._checking.acquire(blocking=not self._check_at):
            try:
                if time.monotonic() >= self._check_at:
                    self._check()
            finally:
                self._checking.release()
        return self._sound

    def _check(self) -> None:
        if self._check_at:  # where it fails, the next is asked in time, not everybody until then
            self._check_at = time.monotonic() + CHECK_EVERY_SECONDS
        with db.engine.connect() as connection:
            faults = triggers.faults(connection)
        for fault in faults:
            log.error("nothing is cached: %s", fault)
        self._sound = not faults
        self._check_at = time.monotonic() + CHECK_EVERY_SECONDS

    def current(self, slots: tuple[int, ...]) -> Generations | None:
        """The present generations; None when they cannot be known, and then nothing may be served or kept."""
        return self.source.read(slots) if self.is_sound() else None

    def known(self, slots: tuple[int, ...]) -> Generations | None:
        """As `current()`, where no app's context is needed: None too when it is time to look at the triggers."""
        return self.source.read(slots) if self._sound and time.monotonic() < self._check_at else None

    def keep(self, entry: Entry) -> None:
        """Keep an entry near."""
        self.near.put(entry.key, entry, entry.size)

    def answer(self, entry: Entry, accept_encoding: str) -> Coded:
        """The entry's answer for a client that says so. What is coded for the first time counts in the near cache."""
        codings = len(entry.coded)
        answer = entry.answer(accept_encoding)
        if len(entry.coded) > codings:
            self.near.resize(entry.key, entry, entry.size)
        return answer

    def settle(self) -> None:
        """Wait until nobody on any host is answered with less than what is committed now: before anything is sent."""
        self.source.settle()

    def check_now(self) -> None:
        """Let the next request ask."""
        self._check_at = 0.0


def _source(config: dict[str, Any]) -> Source:
    url = make_url(config["SQLALCHEMY_DATABASE_URI"])
    if config["CACHE_MODE"] == "direct":
        return source_for(url)
    slots = [family.slots for family in FAMILIES]
    return LeasedSource(url, Path(config["DATA_DIR"]), slots, alone=config["CACHE_HOSTS"] == "one")


def _release() -> str:
    """A digest of our code: in a rolling deploy no release serves the JSON of another."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
