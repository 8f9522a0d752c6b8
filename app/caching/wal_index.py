"""Whether anything was committed to a SQLite database: told by shared memory, without a call into SQLite."""

from __future__ import annotations

import mmap
import os

HEADERS = 2 * 48  # bytes: the header stands there twice


class WALIndex:
    """The head of a database's WAL-index (sqlite.org/walformat.html, «The WAL-Index Header»).

    It holds a count of the transactions, the end of the log and a checksum. A commit writes it before it returns, and
    SQLite itself goes by it to see whether its pages are current (`PRAGMA data_version`): no change, no commit.

    The file stays open as long as this object: to close it would drop whatever locks SQLite has on it in this process
    (POSIX locks go with any descriptor). Whoever makes one keeps a connection open that has read: SQLite deletes the
    file with the last.

    :raises OSError, ValueError: there is none: the database is not in WAL mode.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(f"{os.path.realpath(path)}-shm", os.O_RDONLY)
        try:
            self._memory = mmap.mmap(self._file, HEADERS, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            os.close(self._file)
            raise

    def stamp(self) -> bytes:
        """Another one after every commit, by whichever process."""
        return self._memory[:HEADERS]

    def close(self) -> None:
        """When no connection of this process is in a transaction."""
        self._memory.close()
        os.close(self._file)
