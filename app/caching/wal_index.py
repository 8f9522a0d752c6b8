"""Whether anything was committed to a SQLite database: told by shared memory, without a call into SQLite."""

from __future__ import annotations

import mmap
import os

HEADERS = 2 * 48  # bytes: the header stands there twice
# For ever: to close any descriptor of a file drops every POSIX lock that the process has on it, SQLite's too. Then the
# next process to come would take itself for the first, and cut off the memory that we read.
_mapped: dict[tuple[int, int], WALIndex] = {}


class WALIndex:
    """The head of a database's WAL-index (sqlite.org/walformat.html, «The WAL-Index Header»).

    It holds a count of the transactions, the end of the log and a checksum. A commit writes it before it returns, and
    SQLite itself goes by it to see whether its pages are current (`PRAGMA data_version`): no change, no commit.
    """

    def __init__(self, file: int) -> None:
        self._memory = mmap.mmap(file, HEADERS, prot=mmap.PROT_READ)

    def stamp(self) -> bytes:
        """Another one after every commit, by whichever process."""
        return self._memory[:HEADERS]


def of(database: str) -> WALIndex:
    """The index of the database in this file. Who asks holds a connection that has read, as long as he looks at it:
    SQLite deletes the file with the last.

    :raises OSError, ValueError: there is none: the database is not in WAL mode.
    """
    path = f"{os.path.realpath(database)}-shm"
    found = os.stat(path)
    known = (found.st_dev, found.st_ino)
    if known not in _mapped:
        _mapped[known] = WALIndex(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    return _mapped[known]
