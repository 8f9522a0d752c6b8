"""What goes on beside the hits that are measured: so many misses a second, and a write that makes the list stale."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.http import Connection

MISSES, WRITES = 50, 1  # a second
MISSERS = 5
PAGES = 50  # of 20 posts at most: as many as there are misses between two writes


class Beside:
    """Threads of this process, which waits for wrk meanwhile. `missed`, `wrote`: how often, in the end."""

    _numbers = itertools.count()  # no variant comes again soon

    def __init__(self, port: int, path: str, posts: int, token: str) -> None:
        self._port, self._path, self._posts, self._token = port, path, posts, token
        self._over = threading.Event()
        work = [(self._miss, MISSES / MISSERS)] * MISSERS + [(self._write, float(WRITES))]
        self._threads = [threading.Thread(target=self._repeat, args=each) for each in work]
        self.missed = self.wrote = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[Connection], None], rate: float) -> None:
        """So many times a second; who is late does not rest."""
        connection, due = Connection(self._port), time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            work(connection)
            due += 1 / rate
        connection.close()

    def _miss(self, connection: Connection) -> None:
        number = next(self._numbers)
        path = f"{self._path}?page={number % PAGES + 1}&per_page={11 + number // PAGES % 10}"
        self._expect(connection.ask("GET", path))
        self.missed += 1

    def _write(self, connection: Connection) -> None:
        title = {"title": f"Version {time.monotonic_ns()}"}
        self._expect(connection.ask("PUT", f"{self._path}/{self._posts}", title, self._token))
        self.wrote += 1

    def _expect(self, answer: tuple[int, bytes]) -> None:
        if answer[0] != 200:
            raise RuntimeError(f"{answer[0]}: {answer[1][:200]!r}")
