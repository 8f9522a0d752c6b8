"""How long `python run.py` takes to start, and what its processes hold after work."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import psutil

import config
from benchmarks import servers
from benchmarks.databases import Fresh
from benchmarks.http import Connection, logged_in
from benchmarks.races import LIST, OURS, POSTS, Pace
from benchmarks.report import Line
from benchmarks.rows import fill
from benchmarks.wrk import Load

MB = 2**20
MOST_MB = 130
KINDS = {"redis-server": "Redis", "granian": "web", "processes.web": "web", "celery": "Celery", "outbox": "relay"}


class Run(servers.Server):
    """`python run.py`."""

    def __init__(self, folder: str, url: str) -> None:
        self.port = servers.free_port()
        unset = {setting.name: "" for setting in config.SETTINGS}
        own = {
            "DATA_DIR": folder,
            "DATABASE_URL": url,
            "PORT": str(self.port),
            "STREAM_PORT": str(servers.free_port()),
            "WRITES_PER_MINUTE": "1000000",
        }
        self.began = time.monotonic()
        super().__init__(sys.executable, "run.py", environ=unset | own)

    def answering(self) -> float:
        """Seconds until the API answers."""
        self.wait_for(self._answers)
        return time.monotonic() - self.began

    def whole(self) -> float:
        """Seconds until the relay and Celery work too."""
        self.wait_for(lambda: "relay started" in self.output and " ready." in self.output)
        return time.monotonic() - self.began

    def _answers(self) -> bool:
        try:
            return Connection(self.port, 5).ask("GET", "/api/health/live")[0] == 200
        except OSError:
            return False


def lines(database: str, fresh: Fresh, pace: Pace, say: Callable[[str], None]) -> list[Line]:
    """Start time, on an empty database and again; memory."""
    say(f"{database}: start and memory of `make run`")
    url, found = fresh("run"), []
    with tempfile.TemporaryDirectory(prefix="bs-run-") as folder:
        for told in ("start, which migrates", "start again"):
            with Run(folder, url) as run:
                answering, whole = run.answering(), run.whole()
                samples = {"answers": answering, "whole": whole}
                found.append(Line(database, told, OURS, answering, "s", "", None, "", samples))
                found.append(Line(database, f"{told}: with relay and Celery", OURS, whole, "s", "", None, "", samples))
                if told == "start again":
                    found += _memory(database, run, url, pace)
    return found


def _memory(database: str, run: Run, url: str, pace: Pace) -> list[Line]:
    """After reading, writing and delivering."""
    user_id, token = logged_in(run.port)
    fill(url, POSTS, user_id=user_id)
    Load(run.port, LIST).run(pace.seconds)
    Load(run.port, LIST, ("post", token), 2).run(pace.seconds)
    connection = Connection(run.port)
    for page in range(1, POSTS // 20):
        connection.ask("GET", f"{LIST}?page={page}")
    biggest: dict[str, dict[str, float]] = {}
    for process in psutil.Process(run.pid).children(recursive=True):
        kind = next((kind for word, kind in KINDS.items() if word in " ".join(process.cmdline())), process.name())
        info: Any = process.memory_full_info()
        held = {"rss": info.rss / MB, "pss": info.pss / MB}
        biggest[kind] = max(biggest.get(kind, held), held, key=lambda each: each["rss"])
    return [
        Line(database, f"memory of {kind}{told}", OURS, held[name], "MB", "", None, wanted, held)
        for kind, held in sorted(biggest.items())
        for name, told, wanted in (("rss", "", f"<= {MOST_MB}"), ("pss", ", shared pages divided", ""))
    ]
