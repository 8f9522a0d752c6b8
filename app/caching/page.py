"""The page: one host's generations in a memory-mapped file that the agent writes and every process reads (CACHE.md).

64-bit words: a head, then the generation of each slot. The agent writes generations, *then* CHECKED, the time at which
it began to ask for them; a reader takes the clock, reads CHECKED, *then* generations: they are no older than that.
A host is a DATA_DIR under one kernel: the page of another boot or another kernel is nobody's.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import time
from pathlib import Path

LAYOUT = 1  # of the words below: another one is another file
(KIND, SLOTS, BOOT, NAMESPACE, PID, STARTED, QUESTIONS, FAULT) = range(8)
HEARD = 8  # when the agent last was awake
CHECKED = 16  # on a cache line of its own, as what readers write
WANTED = 24  # the CHECKED under which somebody has read: how the agent sees that there are readers
HEAD = 64
MARK = int.from_bytes(b"bs page" + bytes([LAYOUT]), "big")
FAULTS = (
    None,
    "other hosts ask too, though CACHE_HOSTS says one -> set CACHE_HOSTS=many on all of them",
    "the database is a standby, which lags behind -> let DATABASE_URL name the primary",
    "slots are missing in the database -> flask --app run cache install",
)
FINE, OTHER_HOSTS, STANDBY, SLOTS_MISSING = range(4)


def boottime() -> int:
    """Nanoseconds since boot, suspended or not: a monotonic clock stops in suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def started(pid: int) -> int | None:
    """When that process began, in the kernel's ticks; None: there is none. Numbers of processes come again."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def namespace() -> int:
    """In which numbers of processes mean the same: each container has its own."""
    return os.stat("/proc/self/ns/pid").st_ino


class Page:
    """A mapped page. `words` are the head's, `generations` are by slot; `file` is its device and inode."""

    __slots__ = ("file", "generations", "words")

    def __init__(self, file: tuple[int, int], memory: memoryview[int]) -> None:
        self.file, self.words, self.generations = file, memory, memory[HEAD:]

    @classmethod
    def nobodys(cls) -> Page:
        """One that nobody trusts: there is none yet."""
        return cls((0, 0), memoryview(bytearray(8 * HEAD)).cast("q"))

    @classmethod
    def found(cls, path: Path, slots: int) -> Page | None:
        """The page there, if an agent under this kernel has made it, whole, for so many slots."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            file = os.fstat(fd)
            if not stat.S_ISREG(file.st_mode) or file.st_size != _size(slots):
                return None  # what is not in the file must not be touched: SIGBUS
            head = memoryview(os.pread(fd, 8 * HEAD, 0)).cast("q")
            if (head[KIND], head[SLOTS], head[BOOT]) != (MARK, slots, _boot()):
                return None
            return cls((file.st_dev, file.st_ino), _map(fd, slots))
        except OSError:
            return None
        finally:
            os.close(fd)

    @classmethod
    def made(cls, path: Path, slots: int) -> Page:
        """For the agent alone, who holds the lock: the page there, made anew if need be, and signed by this process.

        :raises OSError: the disk is full or read-only.
        """
        page = cls.found(path, slots)
        if page is None:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, bytes(8 * HEAD), 0)  # first, so that nobody takes it for a page meanwhile
                os.ftruncate(fd, _size(slots))
                os.posix_fallocate(fd, 0, _size(slots))  # else a full disk would be a SIGBUS
                file = os.fstat(fd)
                page = cls((file.st_dev, file.st_ino), _map(fd, slots))
            finally:
                os.close(fd)
        words = page.words
        words[SLOTS], words[BOOT] = slots, _boot()
        words[PID] = 0  # nobody is killed by half a signature
        words[STARTED], words[NAMESPACE] = started(os.getpid()) or 0, namespace()
        words[PID], words[KIND] = os.getpid(), MARK
        return page

    @property
    def host(self) -> str:
        """A name for the host."""
        return _digest(f"{self.file} {_boot()}")


def is_at(path: Path, file: tuple[int, int]) -> bool:
    """Whether this is still the file there."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == file


def _size(slots: int) -> int:
    return 8 * (HEAD + slots)


def _map(fd: int, slots: int) -> memoryview[int]:
    return memoryview(mmap.mmap(fd, _size(slots))).cast("q")


def _boot() -> int:
    return int(_digest(Path("/proc/sys/kernel/random/boot_id").read_text()), 16)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
