"""What is current, read from the host's page, as long as its lease lasts (CACHE.md, leased mode).

`read()` trusts a page that was checked less than a lease ago. `settle()` is the other half of it: the answer to a write
waits there until no page is trusted that was checked before. Whatever fails, the database is asked as in direct mode.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from app.caching.generations import Generations, PostgreSQLSource
from app.caching.page import (
    CHECKED,
    FAULT,
    FAULTS,
    HEARD,
    LAYOUT,
    NAMESPACE,
    PID,
    STARTED,
    WANTED,
    Page,
    boottime,
    namespace,
    started,
)

MILLISECOND = 1_000_000
LEASE_ONE_MS = 250  # writers ring, nobody waits for it while the agent lives
LEASE_MANY_MS = 40  # each write waits for it
MARGIN_MS = 2
PATIENCE_MS = 5  # of a reader whose page has lapsed
PATIENT = 8  # threads of a process that wait at a time, the others ask the database at once
LOOK_EVERY_SECONDS = 0.0003
HUNG_MS = 2000
START_SECONDS = (1.0, 3.0)  # between two starts of an agent by one process, at random
CHECK_SECONDS = 3.0
FAULT_SECONDS = 1.0
NOBODYS = Page.nobodys()
# Our packages' own modules would bring Flask and all of the app with them.
START = """
import sys, types
for name, path in zip(("app", "app.caching"), sys.argv[6:]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from app.caching.agent import main
main()
"""

log = logging.getLogger(__name__)


class LeasedSource:
    """The source of an app with PostgreSQL.

    :param folder: DATA_DIR: processes that share it share the page. It need not be writable.
    :param slots: the ranges of the families.
    :param alone: no other host writes to this database (`CACHE_HOSTS=one`).
    """

    def __init__(self, url: URL, folder: Path, slots: list[range], alone: bool) -> None:
        self.folder = folder
        self._direct = PostgreSQLSource(url)
        self._checks = SharedChecks(self._direct)
        self._alone = alone
        self._lease = (LEASE_ONE_MS if alone else LEASE_MANY_MS) * MILLISECOND
        self._agent = Agent(url, folder, slots, self._lease, alone)
        self._patient = threading.BoundedSemaphore(PATIENT)

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`. First the clock, then the time of the check, then what it found: the proof wants this order."""
        page = self._agent.page
        words, now = page.words, boottime()
        checked = words[CHECKED]
        if -self._lease < now - checked < self._lease:
            words[WANTED] = checked
            return _of(page, slots)
        return self._renewed(slots)

    def settle(self) -> None:
        """See `Source`: the own page's next check is enough where no other host has one; else a lease passes."""
        began = boottime()
        until = began + self._lease + MARGIN_MS * MILLISECOND
        if self._alone and self._agent.ring() and self._checked_since(began, until):
            return
        while (left := until - boottime()) > 0:
            time.sleep(left / 1e9)

    def is_leased(self) -> bool:
        """Whether the page is trusted now."""
        return boottime() - self._agent.page.words[CHECKED] < self._lease

    def fold(self) -> None:
        """See `Source`: the agents fold; this is for when there is none."""
        self._direct.fold()

    def fault(self) -> str | None:
        """See `Source`: what the agent says, once it is there."""
        until = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < until:
            began = boottime()
            if self._agent.ring() and self._checked_since(began, began + 10 * PATIENCE_MS * MILLISECOND):
                return None
            if fault := FAULTS[self._agent.page.words[FAULT]]:
                return fault
            time.sleep(10 * LOOK_EVERY_SECONDS)
        return f"no agent answers, so hits ask the database -> see {self.folder}/cache/*.log"

    def lease(self) -> dict[str, Any]:
        """See `Source`: milliseconds, and the agent's process."""
        page = self._agent.page
        checked = page.words[CHECKED]
        return {
            "host": page.host,
            "hosts": "one" if self._alone else "many",
            "agent": page.words[PID] or None,
            "checked_milliseconds_ago": round((boottime() - checked) / MILLISECOND, 1) if checked else None,
            "lease_milliseconds": self._lease / MILLISECOND,
        }

    def close(self) -> None:
        """See `Source`. The agent is everybody's: it ends when nobody asks."""
        self._direct.close()
        self._agent.close()

    def _renewed(self, slots: tuple[int, ...]) -> Generations | None:
        """As `read()`, when the lease is over."""
        began, page = boottime(), None
        if self._agent.ring() and self._patient.acquire(blocking=False):
            try:
                page = self._checked_since(began, began + PATIENCE_MS * MILLISECOND)
            finally:
                self._patient.release()
        return self._checks.read(slots) if page is None else _of(page, slots)

    def _checked_since(self, began: int, until: int) -> Page | None:
        """The page, once it was checked by a question that began since then; None: it was not, until then."""
        page = self._agent.page
        while not began < page.words[CHECKED] <= boottime():
            if boottime() > until:
                self._agent.is_missed()
                return None
            time.sleep(LOOK_EVERY_SECONDS)
        return page


def _of(page: Page, slots: tuple[int, ...]) -> Generations | None:
    generations = page.generations
    try:
        return tuple([generations[slot] for slot in slots])
    except IndexError:
        return None


class Agent:
    """The agent as its users see it: its page, its bell, its start and its end."""

    def __init__(self, url: URL, folder: Path, slots: list[range], lease: int, alone: bool) -> None:
        self._slots = max(family.stop for family in slots)
        known = sum(map(len, slots))
        what = f"{LAYOUT} {url.host} {url.port} {url.database} {sorted(url.query.items())} {self._slots} {lease}"
        name = hashlib.blake2b(what.encode(), digest_size=6).hexdigest()
        self._path = folder / "cache" / f"{name}.page"
        here = Path(__file__).parent
        arguments = (self._path, self._slots, known, lease, int(alone), here.parent, here)
        self._command = [sys.executable, "-c", START, *map(str, arguments)]
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.page = NOBODYS
        self._bell: int | None = None
        self._lock = threading.Lock()
        self._start_at, self._missed_at = 0.0, 0
        self._children: list[subprocess.Popen[bytes]] = []

    def ring(self) -> bool:
        """Ask for a check that begins from now on, and say whether somebody hears. If nobody does, one is started."""
        with self._lock:
            try:
                if self._bell is None:
                    self._bell = os.open(self._path.with_suffix(".bell"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                if self.page is NOBODYS:
                    self.page = Page.found(self._path, self._slots) or NOBODYS
                with suppress(BlockingIOError):  # it has been rung often enough
                    os.write(self._bell, b"!")
            except OSError as error:
                self._hang_up()
                if error.errno not in (errno.ENOENT, errno.ENXIO, errno.EPIPE):
                    log.warning("no page to lease: %s", error)
                self._start()
                return False
            return self.page is not NOBODYS

    def is_missed(self) -> None:
        """It was rung for and did not answer. One that was not even awake for a while is stopped, and is killed."""
        now, words = boottime(), self.page.words
        with self._lock:
            if not self._missed_at or words[HEARD] > self._missed_at:
                self._missed_at = now
            elif now - self._missed_at > HUNG_MS * MILLISECOND:
                self._missed_at = 0
                self._kill(words[PID], words[STARTED], words[NAMESPACE])

    def close(self) -> None:
        """Let go of what this process holds of it."""
        with self._lock:
            self._hang_up()
            for child in self._children:
                child.wait()

    def _hang_up(self) -> None:
        if self._bell is not None:
            os.close(self._bell)
        self._bell, self.page = None, NOBODYS

    def _start(self) -> None:
        """Start one, unless this process has just done so. It lets go of us, and looks whether it is the only one."""
        if time.monotonic() < self._start_at:
            return
        self._start_at = time.monotonic() + random.uniform(*START_SECONDS)  # noqa: S311
        self._children = [child for child in self._children if child.poll() is None]
        nothing = subprocess.DEVNULL  # else whoever reads what we print would wait for its end too
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            child = subprocess.Popen(  # noqa: S603
                self._command,
                env=os.environ | {"AGENT_DATABASE": self._dsn},
                stdin=nothing,
                stdout=nothing,
                stderr=nothing,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("no agent can be started: %s", error)
        else:
            self._children.append(child)

    @staticmethod
    def _kill(pid: int, began: int, where: int) -> None:
        """Kill that very process; whoever has its number now lives on. It holds its lock until it is gone."""
        if not pid or where != namespace():
            return
        try:
            process = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if started(pid) == began:
                log.error("the agent (process %s) hangs: it is killed", pid)
                signal.pidfd_send_signal(process, signal.SIGKILL)
        except OSError as error:
            log.warning("the agent (process %s) hangs and cannot be killed: %s", pid, error)
        finally:
            os.close(process)


class SharedChecks:
    """One question to the database at a time, shared by those who came before it began."""

    def __init__(self, source: PostgreSQLSource) -> None:
        self._source = source
        self._asking, self._joining = threading.Lock(), threading.Lock()
        self._next = Check()

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`."""
        with self._joining:
            check = self._next
            first = not check.slots
            check.slots.update(slots)
        if first:
            self._run(check)
        elif not check.done.wait(CHECK_SECONDS):
            return None
        return tuple(check.found[slot] for slot in slots) if check.found.keys() >= set(slots) else None

    def _run(self, check: Check) -> None:
        if not self._asking.acquire(timeout=CHECK_SECONDS):  # the one before hangs
            with self._joining:
                self._next = Check()
            check.done.set()
            return
        try:
            with self._joining:
                self._next = Check()  # who comes from here on is not answered by this one
            wanted = tuple(check.slots)
            generations = self._source.read(wanted)
            check.found = dict(zip(wanted, generations, strict=True)) if generations else {}
        finally:
            self._asking.release()
            check.done.set()


class Check:
    """A question that others may join until it begins."""

    def __init__(self) -> None:
        self.slots: set[int] = set()
        self.found: dict[int, int] = {}
        self.done = threading.Event()
