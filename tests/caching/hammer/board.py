"""Shared memory: what has been answered for, what has been seen, and what each client has counted."""

from __future__ import annotations

import mmap
from pathlib import Path

COUNTS = ("reads", "hits", "unmodified", "stale", "backwards", "faulty", "lost", "writes", "repeats", "beside")
MOST_THINGS, MOST_CLIENTS = 64, 32
(STOP, GO, OPEN, LATEST) = range(4)  # OPEN: the protection is off; LATEST: the thing last told of
FLOORS = 8
SEEN, ISSUED = FLOORS + MOST_THINGS, FLOORS + 2 * MOST_THINGS
READY = FLOORS + 3 * MOST_THINGS
COUNTED = READY + MOST_CLIENTS
WORDS = COUNTED + MOST_CLIENTS * len(COUNTS)


class Board:
    """64-bit words in a file. Each has one writer, but for what was seen, where a lost update only asks for less."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), 8 * WORDS)).cast("q")

    @classmethod
    def made(cls, path: Path) -> Board:
        """A new one."""
        path.write_bytes(bytes(8 * WORDS))
        return cls(path)

    def noted(self, first: int) -> memoryview:
        """A copy of the words of all things, as they are now."""
        return memoryview(self.words[first : first + MOST_THINGS].tobytes()).cast("q")

    def issue(self, thing: int) -> int:
        """The next version of a thing, for its one writer."""
        self.words[ISSUED + thing] += 1
        return self.words[ISSUED + thing]

    def answered(self, thing: int, version: int) -> None:
        """Somebody was told of that version: nobody is shown less from here on."""
        self.words[FLOORS + thing] = max(version, self.words[FLOORS + thing])
        self.words[LATEST] = thing

    def counter(self, client: int) -> memoryview:
        """The words in which a client counts, in the order of COUNTS."""
        first = COUNTED + client * len(COUNTS)
        return self.words[first : first + len(COUNTS)]

    def begin(self) -> None:
        """Forget the counts and flags of the last run, not the versions."""
        for word in (STOP, GO, OPEN, *range(READY, WORDS)):
            self.words[word] = 0

    def totals(self) -> dict[str, int]:
        """What all clients have counted."""
        columns = zip(*(self.counter(client) for client in range(MOST_CLIENTS)), strict=True)
        return {name: sum(column) for name, column in zip(COUNTS, columns, strict=True)}
