"""One flight a key: however many ask at once for what is not cached, one computes in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from flask import Response

from app.caching.entry import Entry

LONGEST_WAIT_SECONDS = 10
Result = tuple[Response | None, str | None, Entry | None]


class Flight:
    """What one computes and others wait for."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.entry: Entry | None = None


class Flights:
    """The flights under way. The key holds the generations that were noted: who waits has noted the same ones since he
    came, so what the flight brings is as new as what he would compute himself.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        self._lock = threading.Lock()

    def join(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """What `compute` returns: (answer, refusal, entry); for who has waited (None, None, entry).

        Who waited for nothing (the flight failed, or brought what may not be kept) computes himself.
        """
        with self._lock:
            flight = self._flights.get(key)
            leading = flight is None
            if flight is None:
                flight = self._flights[key] = Flight()
        if not leading:
            flight.landed.wait(LONGEST_WAIT_SECONDS)
            return compute() if flight.entry is None else (None, None, flight.entry)
        try:
            result = compute()
            flight.entry = result[2]
            return result
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
