"""What the drills of the leased mode are made of: databases with the cache's tables alone, hosts, a wire."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import psycopg
from sqlalchemy import create_engine, make_url, text

from app.caching import triggers_postgresql
from app.caching.dependencies import FAMILIES
from app.caching.leased import LeasedSource
from app.caching.page import PID
from tests.servers import wait_for

ALL_SLOTS = [family.slots for family in FAMILIES]
SLOTS = (2000, 2007)


def make_tables(url: str) -> None:
    """The cache's tables and slots."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        for statement in triggers_postgresql.TABLES:
            connection.execute(text(statement))
        for slots in ALL_SLOTS:
            connection.execute(text(triggers_postgresql.FILL), {"low": slots[0], "high": slots[-1]})
    engine.dispose()


class Writer:
    """A client of the database: commits moves, and knows what is true."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.connection = psycopg.connect(url, autocommit=True)

    def commit(self, slot: int = SLOTS[0]) -> None:
        token = random.getrandbits(62)
        self.connection.execute("INSERT INTO cache_moves (slot, token) VALUES (%s, %s)", (slot, token))

    def moves(self) -> int:
        """How many are not folded."""
        return self.connection.execute("SELECT count(*) FROM cache_moves").fetchone()[0]

    def truth(self, slots: tuple[int, ...] = SLOTS) -> tuple[int, ...]:
        """The generations, added up here."""
        found = []
        for slot in slots:
            row = self.connection.execute(
                "SELECT base, ARRAY(SELECT token FROM cache_moves WHERE slot = g.slot) FROM cache_generations g "
                "WHERE slot = %s",
                (slot,),
            ).fetchone()
            generation, tokens = row
            for token in tokens:
                generation ^= token
            found.append(generation)
        return tuple(found)


class Hosts:
    """Makes sources. Those of one name share a DATA_DIR, as the processes of a host do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[LeasedSource] = []

    def __call__(self, name="a", alone=True, agent_url=None, there=True, *, url) -> LeasedSource:
        """`agent_url`: the agents that it starts go another way to the database. `there`: wait for the agent."""
        source = LeasedSource(make_url(url), self._folder / name, ALL_SLOTS, alone)
        if agent_url:
            source._agent._dsn = agent_url
        self.made.append(source)
        if there:
            wait_for(lambda: source.read(SLOTS) and source.is_leased(), 15, 0.02)
        return source

    def agents(self, name: str = "a") -> list[psutil.Process]:
        """The agents of a host."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if process.status() != psutil.STATUS_ZOMBIE and any(
                    w.startswith(f"{self._folder / name}/") for w in words
                ):
                    found.append(process)
        return found

    def close(self) -> None:
        for source in self.made:
            source.close()
        for name in {source.folder.name for source in self.made}:
            for process in self.agents(name):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def write_and_look(writer: Writer, settled: LeasedSource, readers: list[LeasedSource], seconds: float) -> Counter[bool]:
    """Commit, let it settle, read: how many reads were under a lease. None is older than what was settled."""
    until, seen = time.monotonic() + seconds, Counter()
    while time.monotonic() < until:
        writer.commit()
        truth = writer.truth()
        settled.settle()
        for reader in readers:
            assert reader.read(SLOTS) == truth
            seen[reader.is_leased()] += 1
    return seen


def agent_of(source: LeasedSource) -> int:
    """The number of its agent's process."""
    return source._agent.page.words[PID]


def is_back(source: LeasedSource) -> bool:
    return source.read(SLOTS) is not None and source.is_leased()


def stop(pid: int) -> None:
    """Stop it, and see that it is stopped."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


class Wire:
    """A proxy between two unix sockets. `cut` is set: it takes all and passes on nothing, and no end knows. What the
    database says is `late` by so many seconds.
    """

    late = 0.0

    def __init__(self, folder: Path, url: str) -> None:
        self._to = f"{make_url(url).query['host']}/.s.PGSQL.5432"
        self.cut = threading.Event()
        self._closed = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/.s.PGSQL.5432")
        self._listener.listen()
        self.url = make_url(url).update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            if select.select([self._listener], [], [], 0.1)[0]:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._to)
                self._threads.append(threading.Thread(target=self._pass, args=(near, far)))
                self._threads[-1].start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with near, far, contextlib.suppress(OSError):
            while not self._closed.is_set():
                for end in select.select([near, far], [], [], 0.1)[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    if end is far:
                        time.sleep(self.late)
                    if not self.cut.is_set():
                        other[end].sendall(data)

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()
