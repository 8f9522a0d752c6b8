"""Broadsheet beside others, on one database: lists uncached and cached, writes, login."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import servers, wrk
from benchmarks.databases import Fresh
from benchmarks.fronts import FRONTS, missing
from benchmarks.http import NAME, PASSWORD, Connection, logged_in
from benchmarks.report import Line
from benchmarks.rows import fill
from benchmarks.wrk import Load

OTHERS = Path(sys.prefix) / "others"  # where `make bench` installs FastAPI
UNCACHED = "benchmarks.served:uncached"
OURS, V2, TUTORIAL, RIVAL = "Broadsheet", "Broadsheet's v2", "the tutorial", "FastAPI"
POSTS, WORKERS = 1000, 2
LIST = "/api/v1/posts"
NOTHING_KEPT = {"CACHE_TYPE": "NullCache", "CACHE_NEAR_BYTES": "0"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long to measure."""

    seconds: int
    rounds: int


class Course:
    """Everybody on one database, each with 1,000 posts, two workers of four threads, and a writer's token."""

    def __init__(self, stack: contextlib.ExitStack, database: str, fresh: Fresh, pace: Pace, say: Say) -> None:
        self._database, self._pace, self._say = database, pace, say
        redis = stack.enter_context(servers.Redis())
        broker = f"redis+socket://{redis.socket}"
        kept = {"DATA_DIR": redis.folder, "REDIS_URL": redis.url, "BROKER_URL": broker}
        ours, theirs = ({"DATABASE_URL": fresh(name)} | kept for name in ("broadsheet", "tutorial"))
        self._cached = {
            OURS: stack.enter_context(servers.broadsheet(ours)).port,
            TUTORIAL: stack.enter_context(servers.tutorial(theirs)).port,
        }
        stack.enter_context(servers.relay(ours))
        self._tokens = {}
        for name, environ in ((OURS, ours), (TUTORIAL, theirs)):
            user_id, self._tokens[name] = logged_in(self._cached[name])
            fill(environ["DATABASE_URL"], POSTS, user_id=user_id)
        self._uncached = {
            OURS: stack.enter_context(servers.broadsheet(ours | NOTHING_KEPT, UNCACHED)).port,
            TUTORIAL: stack.enter_context(servers.tutorial(theirs | NOTHING_KEPT)).port,
        }
        if OTHERS.exists():
            self._uncached[RIVAL] = stack.enter_context(servers.rival(theirs | {"PYTHONPATH": str(OTHERS)})).port
        else:
            say(f"FastAPI is not measured: `make bench` installs it, and there is no {OTHERS}")
        self._start_fronts(stack)

    def _start_fronts(self, stack: contextlib.ExitStack) -> None:
        _, body = Connection(self._cached[OURS]).ask("GET", LIST)
        self._fronts = {}
        for name, (_, start) in FRONTS.items():
            if reason := missing(name):
                self._say(reason)
            else:
                self._fronts[name] = stack.enter_context(start(body, self._cached[OURS], WORKERS)).port

    def lists(self) -> list[Line]:
        """Twenty posts: every answer computed, then from everybody's cache."""
        loads = {name: Load(port, LIST) for name, port in self._uncached.items()}
        loads[V2] = Load(self._uncached[OURS], "/api/v2/posts?limit=20")
        uncached = self._race("20 posts, uncached", loads)
        lines = [uncached(OURS, TUTORIAL, ">= 2"), uncached(V2, TUTORIAL)]
        lines += [uncached(name, RIVAL) for name in (OURS, V2) if RIVAL in loads]
        ports = self._cached | {name: port for name, port in self._uncached.items() if name == RIVAL} | self._fronts
        cached = self._race("20 posts, cached", {name: Load(port, LIST) for name, port in ports.items()})
        return lines + [cached(OURS, name) for name in ports if name != OURS]

    def writes(self) -> list[Line]:
        """Change a title; write a post: two connections."""
        changes = {n: Load(self._cached[n], LIST, ("put", str(POSTS), token), 2) for n, token in self._tokens.items()}
        posts = {n: Load(self._cached[n], LIST, ("post", token), 2) for n, token in self._tokens.items()}
        return [
            self._race("change a title (PUT)", changes)(OURS, TUTORIAL),
            self._race("write a post (POST)", posts)(OURS, TUTORIAL),
        ]

    def logins(self) -> list[Line]:
        """Two at a time: bcrypt of twelve rounds keeps a core busy."""
        script = ("login", NAME, PASSWORD)
        loads = {name: Load(self._cached[name], "/api/v1/users/login", script, 2) for name in self._tokens}
        return [self._race("login (bcrypt, 12 rounds)", loads)(OURS, TUTORIAL)]

    def _race(self, what: str, loads: Mapping[str, Load]) -> Callable[..., Line]:
        """line(mine, other, wanted=""): the two of them, after all have run."""
        self._say(f"{self._database}: {what}")
        samples = wrk.race(loads, seconds=self._pace.seconds, rounds=self._pace.rounds)

        def line(mine: str, other: str, wanted: str = "") -> Line:
            both = {name: [asdict(sample) for sample in samples[name]] for name in (mine, other)}
            values = (wrk.rate(samples[mine]), wrk.rate(samples[other]))
            return Line(self._database, what, mine, values[0], "/s", other, values[1], wanted, both)

        return line
