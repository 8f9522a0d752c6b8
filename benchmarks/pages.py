"""What a page of the list costs, near and far: one client, every answer computed, the pages in turn."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable

import orjson

from benchmarks import servers
from benchmarks.databases import Fresh
from benchmarks.http import Connection, logged_in
from benchmarks.races import NOTHING_KEPT, UNCACHED, Pace
from benchmarks.report import Line
from benchmarks.rows import fill

SIZES = (1_000, 100_000)
LAST_NUMBER = 1000  # v1 gives no page after it
ASKED_A_SECOND = 60  # at most of each page in a round's second: the far pages of the tutorial are slow


def lines(database: str, fresh: Fresh, pace: Pace, say: Callable[[str], None]) -> list[Line]:
    """The last page against the first, by cursor and by number, at each size."""
    found = []
    for posts in SIZES:
        say(f"{database}: pages of {posts:,} posts")
        with contextlib.ExitStack() as stack:
            found += _of(stack, database, fresh, posts, pace)
    return found


def _of(stack: contextlib.ExitStack, database: str, fresh: Fresh, posts: int, pace: Pace) -> list[Line]:
    redis = stack.enter_context(servers.Redis())
    kept = {"DATA_DIR": redis.folder, "REDIS_URL": redis.url} | NOTHING_KEPT
    connections = []
    for name, start in ((f"broadsheet_{posts}", _uncached), (f"tutorial_{posts}", servers.tutorial)):
        environ = {"DATABASE_URL": fresh(name)} | kept
        web = stack.enter_context(start(environ))
        user_id, _ = logged_in(web.port)
        fill(environ["DATABASE_URL"], posts, user_id=user_id)
        connections.append(Connection(web.port, 30))
    ours, theirs = connections
    numbered = min(LAST_NUMBER, posts // 20)
    pages = {
        "v2's first": (ours, "/api/v2/posts?limit=20"),
        "v2's last": (ours, f"/api/v2/posts?limit=20&cursor={_last_cursor(ours)}"),
        "v1's first": (ours, "/api/v1/posts"),
        "v1's last": (ours, f"/api/v1/posts?page={numbered}"),
        "its first": (theirs, "/api/v1/posts"),
        "its last": (theirs, f"/api/v1/posts?page={posts // 20}"),
    }
    times = _measured(pages, pace)
    told = f"last page of {posts:,} posts"

    def line(what: str, near: str, far: str, wanted: str = "") -> Line:
        first, last = (statistics.median(times[name]) for name in (near, far))
        both = {f"{name}, deciles": statistics.quantiles(times[name], n=10) for name in (near, far)}
        return Line(database, f"{told} {what}", far, last, "ms", near, first, wanted, both)

    return [
        line("by cursor", "v2's first", "v2's last", "<= 1.2"),
        line("by number" if numbered * 20 == posts else f"by number (page {numbered:,})", "v1's first", "v1's last"),
        line("by number, the tutorial's", "its first", "its last"),
    ]


def _uncached(environ: dict[str, str]) -> servers.Web:
    return servers.broadsheet(environ, UNCACHED)


def _last_cursor(connection: Connection) -> str:
    """Where the last twenty begin: walk to the end by hundreds, then go eighty into the last hundred."""
    cursors = [""]
    while True:
        at = f"&cursor={cursors[-1]}" if cursors[-1] else ""
        _, body = connection.ask("GET", f"/api/v2/posts?limit=100{at}")
        if (following := orjson.loads(body)["page"]["next"]) is None:
            _, body = connection.ask("GET", f"/api/v2/posts?limit=80{at}")
            return str(orjson.loads(body)["page"]["next"])
        cursors.append(following)


def _measured(pages: dict[str, tuple[Connection, str]], pace: Pace) -> dict[str, list[float]]:
    """Milliseconds of each page, asked in turn."""
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(pace.seconds * pace.rounds * ASKED_A_SECOND):
        for name, (connection, path) in pages.items():
            began = time.perf_counter()
            status, body = connection.ask("GET", path)
            times[name].append((time.perf_counter() - began) * 1000)
            posts = orjson.loads(body)
            if status != 200 or len(posts if isinstance(posts, list) else posts["items"]) != 20:
                raise RuntimeError(f"{name}: {status} {body[:200]!r}")
    return {name: taken[len(taken) // 10 :] for name, taken in times.items()}  # the first ones warm up
