"""What a write costs more because caches and others hear of it: triggers, wait and outbox, against none of them."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from app.caching import triggers
from app.caching.leased import LEASE_MANY_MS
from benchmarks import servers
from benchmarks.databases import LEASED, Fresh, mode
from benchmarks.http import Connection, logged_in
from benchmarks.races import LIST, OURS, POSTS, Pace
from benchmarks.report import Line
from benchmarks.rows import CONTENT, fill

PLAIN, MANY = "without", "many hosts"
ASKED_A_SECOND = 25  # of each kind of write in a round's second: those of many hosts wait
ADDED_MS = {OURS: 1.5, MANY: LEASE_MANY_MS + 5}
WRITERS = 8
CHANGE = f"""\\set id :client_id * {POSTS // WRITERS} + random(1, {POSTS // WRITERS})
UPDATE posts SET title = 'Version ' || random() WHERE id = :id;
"""


class Writer:
    """A Broadsheet with posts, and who writes to it."""

    def __init__(self, stack: contextlib.ExitStack, url: str, environ: dict[str, str], *target: str) -> None:
        self.url = url
        settings = environ | {"DATABASE_URL": url}
        port = stack.enter_context(servers.broadsheet(settings, *target)).port
        if target:
            engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
            with engine.begin() as connection:
                triggers.remove(connection)
            engine.dispose()
        else:
            stack.enter_context(servers.relay(settings))
        user_id, self._token = logged_in(port)
        fill(url, POSTS, user_id=user_id)
        self._connection = Connection(port)

    def put(self, number: int) -> float:
        """Milliseconds until a changed title is answered."""
        return self._timed("PUT", f"{LIST}/{number * 7919 % POSTS + 1}", {"title": f"Version {time.monotonic_ns()}"})

    def post(self, number: int) -> float:
        """Milliseconds until a new post is answered, of which three subscribers will hear."""
        return self._timed("POST", LIST, {"title": f"Post {number}", "content": CONTENT})

    def _timed(self, method: str, path: str, data: Any) -> float:
        began = time.perf_counter()
        status, body = self._connection.ask(method, path, data, self._token)
        if status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {status} {body[:200]!r}")
        return (time.perf_counter() - began) * 1000


def lines(database: str, fresh: Fresh, pace: Pace, say: Callable[[str], None]) -> list[Line]:
    """One writer through the API; on PostgreSQL eight in SQL too, with the triggers and without."""
    say(f"{database}: what triggers, wait and outbox add to a write")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(servers.Redis())
        broker = f"redis+socket://{redis.socket}"
        kept = {"DATA_DIR": redis.folder, "REDIS_URL": redis.url, "BROKER_URL": broker}
        ours = kept | mode(database)
        writers = {
            OURS: Writer(stack, fresh("heard"), ours),
            PLAIN: Writer(stack, fresh("plain"), kept, "benchmarks.served:plain"),
        }
        if database == LEASED:
            writers[MANY] = Writer(stack, fresh("many"), ours | {"CACHE_HOSTS": "many"})
        found = _latency(database, writers, pace)
        if database == "PostgreSQL":
            say(f"{database}: {WRITERS} writers in SQL")
            found.append(_throughput(database, writers, pace))
    return found


def _latency(database: str, writers: dict[str, Writer], pace: Pace) -> list[Line]:
    """The writers in turn, write after write."""
    found = []
    for told, ask in (("PUT with triggers and wait", Writer.put), ("POST with triggers, wait, outbox", Writer.post)):
        times: dict[str, list[float]] = {name: [] for name in writers}
        for number in range(pace.seconds * pace.rounds * ASKED_A_SECOND):
            for name, writer in writers.items():
                times[name].append(ask(writer, number))
        times = {name: taken[len(taken) // 10 :] for name, taken in times.items()}  # the first ones warm up
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        for mine in [name for name in writers if name != PLAIN]:
            both = {f"{name}, deciles": statistics.quantiles(times[name], n=10) for name in (mine, PLAIN)}
            heard = f"{told}: p50"
            added, wanted = medians[mine] - medians[PLAIN], f"<= {ADDED_MS[mine]}"
            found += [
                Line(database, heard, mine, medians[mine], "ms", PLAIN, medians[PLAIN], "", both),
                Line(database, f"{heard}, added", mine, added, "ms", "", None, wanted, both),
            ]
    return found


def _throughput(database: str, writers: dict[str, Writer], pace: Pace) -> Line:
    """Transactions a second that change posts, each writer others: all of one tag."""
    rates: dict[str, list[float]] = {OURS: [], PLAIN: []}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(CHANGE)
        script.flush()
        for _ in range(pace.rounds):
            for name, taken in rates.items():
                taken.append(_pgbench(script.name, writers[name].url, pace.seconds))
    with_triggers, without = (statistics.median(taken) for taken in rates.values())
    told = f"{WRITERS} writers of posts in SQL"
    return Line(database, told, "with triggers", with_triggers, "/s", "without", without, ">= 0.7", rates)


def _pgbench(script: str, url: str, seconds: int) -> float:
    import pgserver

    binary = Path(pgserver.__file__).parent / "pginstall" / "bin" / "pgbench"
    command = [str(binary), "-n", "-c", str(WRITERS), "-T", str(seconds), "-f", script, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^tps = (\S+)", said, re.MULTILINE)
    if not found:
        raise RuntimeError(said)
    return float(found[1])
