"""One flight a key: however many ask at once for what is not cached, one computes on this host."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import zlib
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flask import Response

from app.caching.entry import Entry

LONGEST_WAIT_SECONDS = 10
LOOK_EVERY_SECONDS = 0.002
Result = tuple[Response | None, str | None, Entry | None]


class Flight:
    """What one computes and others wait for."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.entry: Entry | None = None


class Flights:
    """The flights under way in this process. The key holds the generations that were noted: who waits has noted the
    same ones since he came, so what the flight brings is as new as what he would compute himself.
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


class Runway:
    """Lets one process of the host fly for a key: who holds the lock on the key's byte of a file. The kernel frees it
    with the process (POSIX record locks); what it has computed the others find in the far cache.

    :param path: of the file; where it cannot be had, everybody flies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._opening = threading.Lock()

    @contextmanager
    def alone(self, key: Hashable) -> Iterator[bool]:
        """Waits for who flies already; true: somebody did."""
        byte, deadline, waited = zlib.crc32(repr(key).encode()), time.monotonic() + LONGEST_WAIT_SECONDS, False
        while not (held := self._take(byte)) and time.monotonic() < deadline:
            waited = True
            time.sleep(LOOK_EVERY_SECONDS)
        try:
            yield waited
        finally:
            if held and self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)

    def _take(self, byte: int) -> bool:
        """Whether nobody else has it. Threads of one process do not shut each other out: their flights do."""
        file = self._opened()
        if file is None:
            return True
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            return False
        except OSError:
            return True
        return True

    def _opened(self) -> int | None:
        """Opened once for each process: to close it would drop all its locks."""
        with self._opening:
            if self._file is None:
                with suppress(OSError):
                    self._path.parent.mkdir(exist_ok=True)
                    self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            return self._file
