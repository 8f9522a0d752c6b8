"""What an operator watches, for Prometheus: counted by each web process in a file of its own, summed when asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections import Counter as Tally
from collections import deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from app import logs

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable, which it reads when it is imported: so it is, late
ROUTE = "broadsheet.route"  # the environ's keys
OUTCOME = "broadsheet.outcome"  # of the cache: a hit, or why it was none
NEAR = "hit near"
WRITE_SECONDS = 0.5
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """The counters of this process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        folder()
        kept = CollectorRegistry()  # what is shown comes from the files of all processes, never from here
        labels = ("method", "route", "status")
        self.requests = Counter("broadsheet_requests", "Answers.", labels, registry=kept)
        made = "Answers but for near hits, which take microseconds."
        self.seconds = Histogram("broadsheet_request_seconds", made, labels, registry=kept, buckets=SECONDS)
        self.cache = Counter("broadsheet_cache", "What a cached route did.", ("route", "outcome"), registry=kept)
        seen = "Hits that were computed anew and compared; any `different` is an alarm."
        self.observed = Counter("broadsheet_cache_observed", seen, ("route", "found"), registry=kept)
        self.sql = Histogram("broadsheet_sql_seconds", "SQL made for requests.", registry=kept, buckets=SECONDS)


@cache
def meters() -> Meters:
    """The one set of this process: the library has one folder."""
    return Meters()


def forget(folder: str) -> None:
    """Begin at nothing: what the processes of an earlier start have left is not ours."""
    shutil.rmtree(folder, ignore_errors=True)


class Hits:
    """Near hits, counted in memory and written down twice a second: to write down each costs more than the hit."""

    def __init__(self) -> None:
        self._hits: deque[tuple[str, str, str]] = deque()
        self._due = False

    def count(self, method: str, route: str, status: str) -> None:
        """Count one. A thread writes it down, and ends."""
        self._hits.append((method, route, status))
        if not self._due:
            self._due = True
            timer = threading.Timer(WRITE_SECONDS, self.write)
            timer.daemon = True
            timer.start()

    def write(self) -> None:
        """Write down what was counted."""
        self._due = False
        tally: Tally[tuple[str, str, str]] = Tally()
        with contextlib.suppress(IndexError):
            while True:
                tally[self._hits.popleft()] += 1
        with contextlib.suppress(OSError):
            for (method, route, status), number in tally.items():
                meters().requests.labels(method, route, status).inc(number)
                meters().cache.labels(route, NEAR).inc(number)


hits = Hits()


def count(environ: dict[str, Any], status: str, seconds: float) -> None:
    """Count an answer. A disk that is full, or a folder that is not ours, costs the count and not the answer."""
    method, route, outcome = environ["REQUEST_METHOD"], environ.get(ROUTE, "-"), environ.get(OUTCOME)
    if outcome == NEAR:
        hits.count(method, route, status[:3])
        return
    labels = (method if method in METHODS else "-", route, status[:3])
    with contextlib.suppress(OSError):
        meters().requests.labels(*labels).inc()
        meters().seconds.labels(*labels).observe(seconds)
        if outcome:
            meters().cache.labels(route, outcome).inc()


def observed(route: str, found: str) -> None:
    """Count a hit that was computed anew: it was the same, different, or cannot be compared."""
    with contextlib.suppress(OSError):
        meters().observed.labels(route, found).inc()


def summed() -> CollectorRegistry:
    """The sums of all processes of this host.

    :raises OSError: there is no folder to read.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    hits.write()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder())
    return registry


def outcomes() -> dict[str, dict[str, int]]:
    """What the cached routes did so far: route -> outcome -> how often."""
    found: dict[str, dict[str, int]] = {}
    with contextlib.suppress(OSError):
        for metric in summed().collect():
            for sample in metric.samples if metric.name == "broadsheet_cache" else ():
                found.setdefault(sample.labels["route"], {})[sample.labels["outcome"]] = int(sample.value)
    return found


def folder() -> str:
    """Where this process counts."""
    folder = os.environ[FOLDER]
    Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


@event.listens_for(Engine, "before_cursor_execute")
def _begin(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    connection.info["began"] = time.perf_counter()


@event.listens_for(Engine, "after_cursor_execute")
def _end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if logs.request_id.get():
        with contextlib.suppress(OSError):
            meters().sql.observe(time.perf_counter() - connection.info["began"])
