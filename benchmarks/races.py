"""Broadsheet beside others, on one database: lists uncached and cached, writes, login."""

from __future__ import annotations

import contextlib
import functools
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import owners, servers, wrk
from benchmarks.beside import Beside
from benchmarks.databases import LEASED, Fresh, mode
from benchmarks.fronts import FRONTS, missing
from benchmarks.http import NAME, PASSWORD, Connection, answer, logged_in
from benchmarks.report import Line
from benchmarks.rows import fill
from benchmarks.wrk import Load

OTHERS = Path(sys.prefix) / "others"  # where `make bench` installs FastAPI
UNCACHED = "benchmarks.served:uncached"
OURS, V2, TUTORIAL, RIVAL = "Broadsheet", "Broadsheet's v2", "the tutorial", "FastAPI"
KNOWN, OWNED = "Broadsheet's 304s", f"own lists of {owners.USERS:,} users"
BARE = "a bare WSGI app"
POSTS, WORKERS = 1000, 2
LIST = "/api/v1/posts"
NOTHING_KEPT = {"CACHE_TYPE": "NullCache", "CACHE_NEAR_BYTES": "0"}
FILLING_SECONDS = 2
ASKED_OF_EACH = 6  # by chance: then one in 400 has not been asked for by a process
FAST = {BARE: ">= 0.8", TUTORIAL: ">= 25 (8)", "Varnish": ">= 0.75"}
WANTED = {"SQLite": FAST, "PostgreSQL": {TUTORIAL: ">= 6"}, LEASED: FAST}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pace:
    """How long to measure."""

    seconds: int
    rounds: int


class Course:
    """Everybody on one database, each with 1,000 posts, two workers of four threads, and a writer's token."""

    def __init__(self, stack: contextlib.ExitStack, database: str, fresh: Fresh, pace: Pace, say: Say) -> None:
        self._stack, self._database, self._pace, self._say = stack, database, pace, say
        redis = stack.enter_context(servers.Redis())
        broker = f"redis+socket://{redis.socket}"
        kept = {"DATA_DIR": redis.folder, "REDIS_URL": redis.url, "BROKER_URL": broker}
        self._folder = Path(redis.folder)
        ours, theirs = ({"DATABASE_URL": fresh(name)} | kept for name in ("broadsheet", "tutorial"))
        self._ours, self._theirs = ours | mode(database), theirs
        self._cached = {
            OURS: stack.enter_context(servers.broadsheet(self._ours)).port,
            TUTORIAL: stack.enter_context(servers.tutorial(theirs)).port,
        }
        stack.enter_context(servers.relay(self._ours))
        self._tokens = {}
        for name, environ in ((OURS, ours), (TUTORIAL, theirs)):
            user_id, self._tokens[name] = logged_in(self._cached[name])
            fill(environ["DATABASE_URL"], POSTS, user_id=user_id)

    @functools.cached_property
    def _uncached(self) -> dict[str, int]:
        """The ports of those that keep nothing."""
        start = self._stack.enter_context
        ports = {
            OURS: start(servers.broadsheet(self._ours | NOTHING_KEPT, UNCACHED)).port,
            TUTORIAL: start(servers.tutorial(self._theirs | NOTHING_KEPT)).port,
        }
        if OTHERS.exists():
            ports[RIVAL] = start(servers.rival(self._theirs | {"PYTHONPATH": str(OTHERS)})).port
        else:
            self._say(f"FastAPI is not measured: `make bench` installs it, and there is no {OTHERS}")
        return ports

    def _same_bytes(self) -> dict[str, int]:
        """The ports of those that answer as our hits do, and compute nothing: on our server, and on others."""
        ours, recorded = self._cached[OURS], self._folder / "answer"
        _, body = Connection(ours).ask("GET", LIST)
        servers.record(f"http://127.0.0.1:{ours}{LIST}", recorded)
        ports = {BARE: self._stack.enter_context(servers.bare(recorded)).port}
        for name, (_, start) in FRONTS.items():
            if reason := missing(name):
                self._say(reason)
            else:
                ports[name] = self._stack.enter_context(start(body, ours, WORKERS)).port
        return ports

    def lists(self) -> list[Line]:
        """Twenty posts: every answer computed."""
        loads = {name: Load(port, LIST) for name, port in self._uncached.items()}
        loads[V2] = Load(self._uncached[OURS], "/api/v2/posts?limit=20")
        uncached = self._race("20 posts, uncached", loads)
        lines = [uncached(OURS, TUTORIAL, ">= 2"), uncached(V2, TUTORIAL)]
        return lines + [uncached(name, RIVAL) for name in (OURS, V2) if RIVAL in loads]

    def hits(self) -> list[Line]:
        """Twenty posts from everybody's cache; the same as 304s; and twenty todos of each of many users."""
        ours, wanted = self._cached[OURS], WANTED[self._database]
        rival = {} if self._database == LEASED else {name: p for name, p in self._uncached.items() if name == RIVAL}
        others = {name: port for name, port in self._cached.items() if name != OURS} | rival | self._same_bytes()
        loads = {name: Load(port, LIST) for name, port in ({OURS: ours} | others).items()}
        loads[KNOWN] = Load(ours, LIST, ("get", self._etag()))
        loads[OWNED] = self._owned()
        cached = self._race("20 posts, cached", loads)
        lines = [cached(OURS, name, wanted.get(name, "")) for name in others]
        return [*lines, cached(KNOWN, OURS, ">= 1"), cached(OWNED, OURS, ">= 0.6")]

    def _etag(self) -> str:
        """The list's, to which a 304 is the answer."""
        etag = answer(self._cached[OURS], LIST, {}).headers["ETag"]
        again = answer(self._cached[OURS], LIST, {"If-None-Match": etag})
        if again.status != 304 or "hit" not in again.headers["Cache-Status"]:
            raise RuntimeError(f"no hit: {again.status} {again.headers}")
        return etag

    def _owned(self) -> Load:
        """Each time another user asks for his todos, all of which are kept."""
        tokens, file = owners.made(self._ours["DATABASE_URL"]), self._folder / "tokens"
        file.write_text("\n".join(tokens))
        load = Load(self._cached[OURS], owners.LIST, ("private", str(file)))
        asked = 0.0
        while asked < ASKED_OF_EACH * len(tokens) * WORKERS:
            asked += load.run(FILLING_SECONDS).rate * FILLING_SECONDS
        return load

    def busy(self) -> list[Line]:
        """The slowest hundredth of hits, in quiet and while others miss and write."""
        told = "p99 beside 50 misses/s and a write/s"
        self._say(f"{self._database}: {told}")
        load, quiet, beside = Load(self._cached[OURS], LIST), [], []
        load.run(wrk.WARM_SECONDS)
        samples = {"quiet": quiet, "beside": beside, "misses": (missed := []), "writes": (wrote := [])}
        for _ in range(self._pace.rounds):
            quiet.append(asdict(load.run(self._pace.seconds)))
            with Beside(load.port, LIST, POSTS, self._tokens[OURS]) as others:
                beside.append(asdict(load.run(self._pace.seconds)))
            missed.append(others.missed)
            wrote.append(others.wrote)
        values = [statistics.median(sample["p99"] for sample in each) for each in (beside, quiet)]
        return [Line(self._database, told, "hits", values[0], "ms", "in quiet", values[1], "<= 3", samples)]

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
