"""Readers and writers, each a process with one kept-alive connection, and what they count together.

A writer counts up the version in a post's title and notes it as the post's floor when the write has been answered. A
reader notes the floors before it asks: an answer that shows a version below its floor is stale.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Any

import orjson

from benchmarks.http import Connection
from benchmarks.rows import CATEGORIES
from processes.tether import tie_to_parent

READERS, WRITERS = 2, 2
WRITES_A_SECOND = 5  # of each writer
fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Counts:
    """What was counted up to now."""

    reads: int = 0
    stale: int = 0
    writes: int = 0
    errors: int = 0

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Traffic:
    """The readers and writers of one application. Each cell of the shared arrays has one writer."""

    def __init__(self, port: int, token: str, posts: int) -> None:
        self._port, self._token, self._posts = port, token, posts
        self._floors: Any = RawArray("q", posts + 1)
        self._cells = {name: RawArray("q", READERS + WRITERS) for name in Counts.__dataclass_fields__}
        self._over = RawValue("b", 0)
        self._processes: list[Any] = []

    @property
    def counts(self) -> Counts:
        return Counts(**{name: sum(cells) for name, cells in self._cells.items()})

    def start(self) -> None:
        """Begin to read and write."""
        work = [*[self._read] * READERS, *[self._write] * WRITERS]
        self._processes = [fork.Process(target=self._run, args=(do, n, os.getpid())) for n, do in enumerate(work)]
        for process in self._processes:
            process.start()

    def stop(self) -> None:
        """End, whatever is still being waited for."""
        self._over.value = 1
        for process in self._processes:
            process.join(0.2)
            process.kill()
            process.join()

    def _run(self, work: Callable[[int, Connection], None], number: int, parent: int) -> None:
        tie_to_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's to hear
        connection = Connection(self._port)
        while not self._over.value:
            try:
                work(number, connection)
            except OSError:
                self._cells["errors"][number] += 1
                time.sleep(0.05)

    def _read(self, number: int, connection: Connection) -> None:
        path = self._path()
        floors = self._floors[:]
        status, body = connection.ask("GET", path)
        if status != 200:
            self._cells["errors"][number] += 1
            return
        answer = orjson.loads(body)
        posts = answer if isinstance(answer, list) else [answer]
        self._cells["reads"][number] += 1
        self._cells["stale"][number] += any(_version(post) < floors[post["id"]] for post in posts)

    def _path(self) -> str:
        """Of five readings one is the front page, two are other lists, two are posts."""
        kind = random.randrange(5)
        if kind == 0:
            return "/api/v1/posts"
        if kind == 1:
            return f"/api/v1/posts?page={random.randint(2, self._posts // 20)}"
        if kind == 2:
            return f"/api/v1/posts?category={random.choice(CATEGORIES)}"
        return f"/api/v1/posts/{random.randint(1, self._posts)}"

    def _write(self, number: int, connection: Connection) -> None:
        time.sleep(random.uniform(0.5, 1.5) / WRITES_A_SECOND)
        post = random.randrange(1 + number % WRITERS, self._posts + 1, WRITERS)  # one writer for each
        version = time.monotonic_ns()  # grows
        status, _ = connection.ask("PUT", f"/api/v1/posts/{post}", {"title": f"Version {version}"}, self._token)
        if status == 200:
            self._floors[post] = version
            self._cells["writes"][number] += 1
        else:
            self._cells["errors"][number] += 1


def _version(post: dict[str, Any]) -> int:
    return int(post["title"].rpartition(" ")[2])
