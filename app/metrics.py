"""What an operator watches, for Prometheus: counted by each web process in a file of its own, summed when asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from app import logs

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable, which it reads when it is imported: so it is, late
ROUTE = "broadsheet.route"  # the environ's key
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """The counters of this process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        folder()
        kept = CollectorRegistry()  # what is shown comes from the files of all processes, never from here
        labels = ("method", "route", "status")
        self.requests = Histogram("broadsheet_request_seconds", "Answers.", labels, registry=kept, buckets=SECONDS)
        self.cache = Counter("broadsheet_cache", "What a cached route did.", ("route", "outcome"), registry=kept)
        self.sql = Histogram("broadsheet_sql_seconds", "SQL made for requests.", registry=kept, buckets=SECONDS)


@cache
def meters() -> Meters:
    """The one set of this process: the library has one folder."""
    return Meters()


def forget(folder: str) -> None:
    """Begin at nothing: what the processes of an earlier start have left is not ours."""
    shutil.rmtree(folder, ignore_errors=True)


def count(environ: dict[str, Any], status: str, cache_status: str | None, seconds: float) -> None:
    """Count an answer. A disk that is full, or a folder that is not ours, costs the count and not the answer."""
    method, route = environ["REQUEST_METHOD"], environ.get(ROUTE, "-")
    with contextlib.suppress(OSError):
        meters().requests.labels(method if method in METHODS else "-", route, status[:3]).observe(seconds)
        if cache_status:
            meters().cache.labels(route, _outcome(cache_status)).inc()


def folder() -> str:
    """Where this process counts."""
    folder = os.environ[FOLDER]
    Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


def _outcome(cache_status: str) -> str:
    """`hit near`, `hit far`, `collapsed`, or why it was no hit (RFC 9211)."""
    parts = [part.strip().partition("=") for part in cache_status.split(";")[1:]]
    said = {name: value for name, _, value in parts}
    if "hit" in said:
        return f"hit {said.get('detail', '')}"
    return "collapsed" if "collapsed" in said else said.get("fwd", "-")


@event.listens_for(Engine, "before_cursor_execute")
def _begin(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    connection.info["began"] = time.perf_counter()


@event.listens_for(Engine, "after_cursor_execute")
def _end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    if logs.request_id.get():
        with contextlib.suppress(OSError):
            meters().sql.observe(time.perf_counter() - connection.info["began"])
