"""What a full cache costs: a write that makes much of it stale, and a start beside it, against one with one answer."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable

import redis

from benchmarks import servers
from benchmarks.databases import Fresh, mode
from benchmarks.http import Connection, logged_in
from benchmarks.races import LIST, POSTS, Pace
from benchmarks.report import Line
from benchmarks.rows import fill
from benchmarks.wrk import Load

ANSWERS = 100_000
ASKED_A_SECOND = 25  # writes to each in a round's second
SECONDS_TO_KEEP = 3600
MANY, ONE = f"{ANSWERS:,} answers kept", "one"


class Kept:
    """A Broadsheet with a Redis of its own."""

    def __init__(self, stack: contextlib.ExitStack, database: str, url: str) -> None:
        self.redis = stack.enter_context(servers.Redis())
        own = {"DATABASE_URL": url, "DATA_DIR": self.redis.folder, "REDIS_URL": self.redis.url}
        self._environ = own | mode(database)
        self.web = self._started()
        stack.callback(self.stop)
        user_id, self._token = logged_in(self.web.port)
        fill(url, POSTS, user_id=user_id)
        self._connection = Connection(self.web.port)
        self._connection.ask("GET", LIST)

    def write(self) -> float:
        """Milliseconds until a changed title is answered."""
        began = time.perf_counter()
        title = {"title": f"Version {time.monotonic_ns()}"}
        status, body = self._connection.ask("PUT", f"{LIST}/{POSTS}", title, self._token)
        if status != 200:
            raise RuntimeError(f"{status} {body[:200]!r}")
        return (time.perf_counter() - began) * 1000

    def start(self) -> float:
        """Seconds from a new start to its first answer."""
        self.stop()
        began = time.monotonic()
        self.web = self._started()
        Connection(self.web.port).ask("GET", LIST)
        return time.monotonic() - began

    def stop(self) -> None:
        """Keep what Redis has."""
        self.web.stop()

    def _started(self) -> servers.Web:
        return servers.broadsheet(self._environ)


def lines(database: str, fresh: Fresh, pace: Pace, say: Callable[[str], None]) -> list[Line]:
    """Both in turn."""
    say(f"{database}: {ANSWERS:,} answers kept")
    with contextlib.ExitStack() as stack:
        both = {name: Kept(stack, database, fresh(f"kept_{n}")) for n, name in enumerate((MANY, ONE))}
        _fill(both[MANY], pace.seconds * pace.rounds)
        rounds = pace.seconds * pace.rounds * ASKED_A_SECOND
        writes = _in_turn(both, Kept.write, rounds, rounds // 10)
        starts = _in_turn(both, Kept.start, pace.rounds, 0)
    return [
        _line(database, "PUT: p50", "ms", writes, "<= 1.2"),
        _line(database, "start to the first answer", "s", starts, "<= 1.2"),
    ]


def _fill(kept: Kept, seconds: int) -> None:
    """Ask for other variants, as many as there is time for; the rest are copies of one of them in Redis."""
    Load(kept.web.port, LIST, ("variants",)).run(seconds)
    client = redis.from_url(kept.redis.url)
    key = next(each for each in client.scan_iter(count=1000) if b"category" in each and client.strlen(each) < 1000)
    value, there = client.get(key), client.dbsize()
    with client.pipeline(transaction=False) as pipeline:
        for number in range(there, ANSWERS):
            pipeline.set(f"{key.decode()}{number}", value, ex=SECONDS_TO_KEEP)
        pipeline.execute()
    if client.dbsize() < ANSWERS:
        raise RuntimeError(f"Redis kept {client.dbsize()} answers")
    client.close()


def _in_turn(both: dict[str, Kept], ask: Callable[[Kept], float], times: int, warm: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in both}
    for _ in range(times):
        for name, kept in both.items():
            taken[name].append(ask(kept))
    return {name: each[warm:] for name, each in taken.items()}


def _line(database: str, told: str, unit: str, taken: dict[str, list[float]], wanted: str) -> Line:
    many, one = (statistics.median(taken[name]) for name in (MANY, ONE))
    return Line(database, told, MANY, many, unit, ONE, one, wanted, taken)
