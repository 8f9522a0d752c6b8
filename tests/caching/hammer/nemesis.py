"""Faults at random, each kind once before any comes again."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil

from .worlds import Cluster, World

CRASH_LOOP_SECONDS = 10.0
FOLDED_SECONDS = 1.2  # an agent that stops for longer finds the moves folded by another host's
STUTTER_SECONDS = 1.6


def _is_agents(fault: str) -> bool:
    """What only the leased mode has to bear: it comes first in each round, for who has little time."""
    return fault.startswith("agent")


class Nemesis(threading.Thread):
    """Does something to the world now and then, until `end()`. `log` is when, and what."""

    def __init__(self, world: World, seed: int, pause: float, longest_stop: float) -> None:
        super().__init__()
        self._world, self._random = world, random.Random(seed)
        self._pause, self._longest_stop = pause, longest_stop
        self._ended = threading.Event()
        self._web_killed_at = 0.0
        self._failure: BaseException | None = None
        self.counts: Counter[str] = Counter()
        self.log: list[tuple[float, str]] = []

    def run(self) -> None:
        try:
            self._rage()
        except BaseException as error:
            self._failure = error

    def _rage(self) -> None:
        due: list[str] = []
        faults = self._faults()
        while not self._ended.wait(self._random.uniform(self._pause / 5, self._pause)):
            due = due or sorted(self._random.sample(sorted(faults), len(faults)), key=_is_agents)
            name = due.pop()
            began = time.time()
            if faults[name]() is not False:
                self.counts[name] += 1
                self.log += [(began, name), (time.time(), f"{name}, over")]

    def end(self) -> None:
        """What has been begun is undone first."""
        self._ended.set()
        self.join()
        if self._failure:
            raise self._failure

    def _faults(self) -> dict[str, Callable[[], object]]:
        world = self._world
        faults: dict[str, Callable[[], object]] = {
            "web killed": self._kill_web,
            "web stopped": lambda: self._suspend(world.workers()),
            "redis stopped": lambda: self._suspend([psutil.Process(world.redis.pid)]),
            "redis flushed": world.redis.client.flushall,
            "redis restarted": world.restart_redis,
        }
        if world.is_leased:
            faults["agent killed"] = lambda: self._kill(world.agents())
            faults["agent stopped"] = lambda: self._suspend(world.agents(), FOLDED_SECONDS)
            faults["agent stutters"] = self._stutter
        if (cluster := world.cluster) is not None:
            faults["postgresql restarted"] = lambda: self._restart(cluster, "fast")
            faults["postgresql crashed"] = lambda: self._restart(cluster, "immediate")
            faults["backend killed"] = lambda: self._kill(cluster.backends())
        else:
            faults["checkpoint"] = lambda: self._sqlite("PRAGMA wal_checkpoint(TRUNCATE)")
            faults["vacuum"] = lambda: self._sqlite("VACUUM")
        return faults

    def _kill_web(self) -> bool:
        """granian takes one that dies soon after it was started for one that cannot live, and ends."""
        if time.monotonic() - self._web_killed_at < CRASH_LOOP_SECONDS:
            return False
        self._web_killed_at = time.monotonic()
        return self._kill(self._world.workers())

    def _kill(self, processes: list[psutil.Process]) -> bool:
        if not processes:
            return False
        with contextlib.suppress(psutil.Error):
            self._random.choice(processes).kill()
        return True

    def _suspend(self, processes: list[psutil.Process], shortest: float = 0.1) -> bool:
        """Stop one for a while."""
        if not processes:
            return False
        with contextlib.suppress(psutil.Error):
            victim = self._random.choice(processes)
            victim.suspend()
            try:
                self._ended.wait(self._random.uniform(shortest, max(1.5 * shortest, self._longest_stop)))
            finally:
                victim.resume()
        return True

    def _stutter(self) -> None:
        """All agents, again and again, for longer than a lease: who has not waited for that is found out by those who
        trust their pages still.
        """
        until = time.monotonic() + max(STUTTER_SECONDS, 2 * self._longest_stop)
        agents = self._world.agents()
        while time.monotonic() < until and not self._ended.is_set():
            self._pause_briefly(agents)

    def _pause_briefly(self, agents: list[psutil.Process]) -> None:
        for agent in agents:
            with contextlib.suppress(psutil.Error):
                agent.suspend()
        time.sleep(self._random.uniform(0.05, 0.08))
        for agent in agents:
            with contextlib.suppress(psutil.Error):
                agent.resume()
        time.sleep(0.03)

    def _restart(self, cluster: Cluster, mode: str) -> None:
        cluster.stop(mode)
        self._ended.wait(self._random.uniform(0, self._longest_stop))
        cluster.start()

    def _sqlite(self, statement: str) -> bool:
        path = self._world.database.removeprefix("sqlite:///")
        connection = sqlite3.connect(path, timeout=2, isolation_level=None)
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError:  # readers and writers are in its way
            return False
        finally:
            connection.close()
        return True
