"""The agent, a process of its own, one for each host: asks the database what moved and writes the page (CACHE.md).

Only the standard library and psycopg: it is up in a fraction of a second, and small. It asks when somebody rings, and
every quarter of a lease while there are readers; at rest it asks nothing, and after a while it ends. It dies in a
question that takes too long. Whoever needs it next starts it anew (`leased.py`).
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.caching.page import (
    CHECKED,
    FAULT,
    FAULTS,
    FINE,
    HEARD,
    OTHER_HOSTS,
    QUESTIONS,
    SLOTS_MISSING,
    STANDBY,
    WANTED,
    Page,
    boottime,
    is_at,
)

if TYPE_CHECKING:
    import psycopg

SECOND = 1_000_000_000
QUESTION_SECONDS, CONNECT_SECONDS = 1.0, 2.5  # longer, and the agent dies
LINGER_NS = SECOND  # readers that come once a second are readers all the time
FOLD_EVERY_NS = SECOND // 2
REST_SECONDS = 2.0  # how often one at rest looks whether its page is still there
RETIRE_NS = 60 * SECOND
PAUSE_SECONDS = 0.5  # after a fault
LOCK_SECONDS = 1.0  # for one that was killed to be gone
LOG_BYTES = 1_000_000
NAME = "broadsheet agent "
OPTIONS = (
    "-c statement_timeout=2000 -c lock_timeout=500 -c idle_in_transaction_session_timeout=5000 "
    "-c synchronous_commit=off "  # a fold that a crash undoes is folded again
    "-c enable_seqscan=off "  # both tables are bloated between vacuums
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"  # else its name outlives it
)
OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE %s AND application_name <> %s"""

log = logging.getLogger(__name__)


class Unfit(Exception):
    """What the database says must not be trusted. Its argument is a number of `FAULTS`."""


class Answer(NamedTuple):
    """What the database says to a question."""

    xmin: int
    upto: int
    standby: bool
    server: str
    slots: list[int] | None
    generations: list[int] | None

    def misses(self, before: Answer) -> bool:
        """Whether moves alone do not tell what happened since an answer: some were folded, or it is another server."""
        return self.server != before.server or self.upto > before.xmin or self.upto < before.upto


class Agent:
    """The one that holds the page's lock. `path` is the page's, its bell is beside it."""

    def __init__(self, path: Path, dsn: str, slots: int, known: int, lease: int, alone: bool) -> None:
        self._path, self._dsn, self._slots, self._known, self._alone = path, dsn, slots, known, alone
        self._lease = lease
        self._bell = _bell(path.with_suffix(".bell"))
        new = Page.found(path, slots) is None
        self._page = Page.made(path, slots)
        if new:  # another may have been here and removed, by whom it is trusted still
            time.sleep(lease / SECOND)
        self._used_at = boottime()
        self._fold_at, self._unfolded = 0, True
        self._fold_below: int | None = None

    def run(self) -> None:
        """Ask until nobody needs it."""
        import psycopg

        while True:
            try:
                with _deadline(CONNECT_SECONDS):
                    connection = self._connected()
                    self._examine(connection)
                with connection:
                    self._serve(connection)
            except Unfit as fault:
                self._page.words[FAULT] = number = fault.args[0]
                log.error("nothing is leased: %s", FAULTS[number])
            except psycopg.Error as error:
                log.warning("the database does not answer: %s", error)
            time.sleep(PAUSE_SECONDS)
            if self._hear(0):
                self._used_at = boottime()
            self._look_around(boottime())

    def _connected(self) -> psycopg.Connection[Any]:
        import psycopg

        name = NAME + self._page.host
        return psycopg.connect(self._dsn, autocommit=True, application_name=name, options=OPTIONS, connect_timeout=2)

    def _serve(self, connection: psycopg.Connection[Any]) -> None:
        """Keep the page true as long as the connection lasts."""
        answer = None
        self._fold_below = None
        self._fold(connection)  # what has piled up while nobody read would make the first question long
        while True:
            asked_at = boottime()
            self._look_around(asked_at)
            with _deadline(QUESTION_SECONDS):
                answer = self._ask(connection, answer)
            self._publish(answer, asked_at)
            self._rest(connection, asked_at)

    def _examine(self, connection: psycopg.Connection[Any]) -> None:
        """Writers on other hosts would not wait for us: then we lease nothing, and ours wait for theirs. Our name shows
        already: of two that come at once, one sees the other.
        """
        if connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
            raise Unfit(STANDBY)
        names = (NAME + "%", NAME + self._page.host)
        if self._alone:
            if connection.execute(OTHERS, names).fetchone() != (0,):
                raise Unfit(OTHER_HOSTS)
            time.sleep(self._lease / SECOND)  # one that has lost its connection is trusted so long

    def _ask(self, connection: psycopg.Connection[Any], before: Answer | None) -> Answer:
        """What moved since that answer, or everything."""
        from app.caching import moves

        with connection.cursor(binary=True) as cursor:
            if before is not None:
                cursor.execute(moves.MOVED, (before.xmin, self._slots), prepare=True)
                answer = Answer(*cursor.fetchone() or ())
                if not answer.misses(before):
                    self._unfolded = self._unfolded or bool(answer.slots)
                    return _fit(answer)
            cursor.execute(moves.LOAD, (self._slots,), prepare=True)
            answer = _fit(Answer(*cursor.fetchone() or ()))
        if len(answer.slots or ()) < self._known:
            raise Unfit(SLOTS_MISSING)
        self._unfolded = True
        return answer

    def _publish(self, answer: Answer, asked_at: int) -> None:
        """Write the page. The order is part of the proof."""
        words, generations = self._page.words, self._page.generations
        for slot, generation in zip(answer.slots or (), answer.generations or (), strict=True):
            generations[slot] = generation
        words[CHECKED] = asked_at
        words[FAULT] = FINE
        words[QUESTIONS] += 1

    def _rest(self, connection: psycopg.Connection[Any], asked_at: int) -> None:
        """Until the next question is due. Meanwhile fold, while there are moves."""
        while True:
            now, words = boottime(), self._page.words
            if words[WANTED] == words[CHECKED]:
                self._used_at = now
            busy = now - self._used_at < LINGER_NS
            left = (asked_at + self._lease // 4 - now) / SECOND
            if busy and left <= 0:
                return
            if self._unfolded and now >= self._fold_at:
                self._fold(connection)
                continue
            if self._hear(left if busy else FOLD_EVERY_NS / SECOND if self._unfolded else REST_SECONDS):
                self._used_at = boottime()
                return
            if not busy:
                self._look_around(boottime())

    def _fold(self, connection: psycopg.Connection[Any]) -> None:
        from app.caching import moves

        with _deadline(QUESTION_SECONDS):
            self._fold_below, self._unfolded = moves.fold(connection, self._fold_below)
        self._fold_at = boottime() + FOLD_EVERY_NS

    def _hear(self, seconds: float) -> bool:
        """Wait for the bell, so long at most, and say whether it rang."""
        if not select.select([self._bell], [], [], seconds)[0]:
            return False
        os.read(self._bell, 65_536)
        return True

    def _look_around(self, now: int) -> None:
        """Show that one is awake. End, if nobody asks any more, or page or bell was taken away."""
        self._page.words[HEARD] = now
        bell = os.fstat(self._bell)
        found = is_at(self._path, self._page.file) and is_at(
            self._path.with_suffix(".bell"), (bell.st_dev, bell.st_ino)
        )
        if not found or now - self._used_at > RETIRE_NS:
            raise SystemExit


def _fit(answer: Answer) -> Answer:
    if answer.standby:
        raise Unfit(STANDBY)
    if None in (answer.generations or ()):
        raise Unfit(SLOTS_MISSING)
    return answer


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """The kernel ends this process when what is within takes longer, wherever it hangs, also if it was stopped."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _bell(path: Path) -> int:
    """The FIFO that is written to by whoever wants an answer. Open for writing too, so that it never ends."""
    if path.exists() and not stat.S_ISFIFO(path.stat().st_mode):
        path.unlink()
    if not path.exists():
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _locked(path: Path) -> bool:
    """Whether the page's lock is ours, until this process ends. One that was killed a moment ago may hold it still."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        else:
            return True


def main() -> None:
    """`… PAGE SLOTS KNOWN LEASE_NS ALONE`, with the database's address in the environment.

    It goes into the background first: who has started it is not its parent for long.
    """
    if os.fork():
        os._exit(0)
    path = Path(sys.argv[1])
    slots, known, lease, alone = map(int, sys.argv[2:6])
    file = path.with_suffix(".log")
    mode = "w" if file.exists() and file.stat().st_size > LOG_BYTES else "a"
    form = "%(asctime)s agent %(process)d %(levelname)s: %(message)s"
    logging.basicConfig(filename=file, filemode=mode, format=form, level=logging.INFO)
    try:
        if not _locked(path):
            return
        log.info("started")
        Agent(path, os.environ["AGENT_DATABASE"], slots, known, lease, bool(alone)).run()
    except SystemExit:
        log.info("ended: nobody asks")
    except BaseException:
        log.exception("ended")
        raise
