"""`make demo`: the tutorials' way and Broadsheet side by side, first with Redis, then without.

Same server, same workers, same Redis, same rows, same readers and writers, at the same time. The tutorial's code is in
`benchmarks/tutorial`.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import servers
from benchmarks.http import logged_in
from benchmarks.rows import fill
from benchmarks.screen import Screen
from benchmarks.traffic import READERS, WRITERS, Counts, Traffic

POSTS = 60


@dataclass(frozen=True)
class Contender:
    """One of the two."""

    name: str
    traffic: Traffic


@dataclass(frozen=True)
class Span:
    """What was counted in a stretch of time."""

    seconds: float
    counts: Counts

    def each_second(self, name: str) -> str:
        return f"{getattr(self.counts, name) / max(self.seconds, 0.001):,.0f}"


def main() -> None:
    """Show it."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        print("starting Redis, Broadsheet and the tutorial …", flush=True)
        redis = stack.enter_context(servers.Redis())
        contenders = _start(stack, redis.url)
        print(f"each has {READERS} readers and {WRITERS} writers; Ctrl-C ends it\n", flush=True)
        for contender in contenders:
            contender.traffic.start()
            stack.callback(contender.traffic.stop)
        screen = Screen(len(contenders) + 2)
        before = _watch(contenders, screen, options.seconds, "Redis is up")
        redis.kill()
        after = _watch(contenders, screen, options.down, "Redis is gone")
        print(f"\n{_table(contenders, before, after)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="with Redis")
    parser.add_argument("--down", type=float, default=8.0, help="without it")
    return parser.parse_args()


def _start(stack: contextlib.ExitStack, redis_url: str) -> list[Contender]:
    folder = tempfile.mkdtemp(prefix="bs-demo-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    contenders = []
    for name, start in (("Broadsheet", servers.broadsheet), ("the tutorial", servers.tutorial)):
        url = f"sqlite:///{folder}/{name.split()[-1]}.db"
        web = stack.enter_context(start({"DATABASE_URL": url, "REDIS_URL": redis_url, "DATA_DIR": folder}))
        user_id, token = logged_in(web.port)
        fill(url, POSTS, user_id=user_id)
        contenders.append(Contender(name, Traffic(web.port, token, POSTS)))
    return contenders


def _watch(contenders: list[Contender], screen: Screen, seconds: float, state: str) -> list[Span]:
    """Show it for so long; what was counted meanwhile."""
    started = time.monotonic()
    first = last = [contender.traffic.counts for contender in contenders]
    then = started
    for _ in _ticks(started, seconds, screen.every):
        now, counts = time.monotonic(), [contender.traffic.counts for contender in contenders]
        spans = [Span(now - then, new - old) for new, old in zip(counts, last, strict=True)]
        screen.show(_lines(contenders, spans, counts, f"{state}, {now - started:.0f} s of {seconds:.0f}"))
        then, last = now, counts
    return [Span(then - started, new - old) for new, old in zip(last, first, strict=True)]


def _ticks(started: float, seconds: float, every: float) -> Iterator[None]:
    while (left := started + seconds - time.monotonic()) > 0.01:
        time.sleep(min(every, left))
        yield


def _lines(contenders: list[Contender], spans: list[Span], counts: list[Counts], state: str) -> list[str]:
    head = f"{'':14}{'reads/s':>10}{'stale/s':>10}{'stale so far':>14}{'writes/s':>10}{'errors':>9}"
    rows = [
        f"{contender.name:14}{span.each_second('reads'):>10}{span.each_second('stale'):>10}"
        f"{count.stale:>14,}{span.each_second('writes'):>10}{count.errors:>9,}"
        for contender, span, count in zip(contenders, spans, counts, strict=True)
    ]
    return [head, *rows, state]


def _table(contenders: list[Contender], before: list[Span], after: list[Span]) -> str:
    """The table of the README."""
    head = "| | reads/s | stale answers | writes/s | errors | Redis gone: reads/s | stale answers | writes/s | errors |"
    rows = []
    for contender, *spans in zip(contenders, before, after, strict=True):
        cells = [contender.name]
        for span in spans:
            cells += [span.each_second("reads"), f"{span.counts.stale:,}", span.each_second("writes")]
            cells.append(f"{span.counts.errors:,}")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, "|---|" + "---:|" * 8, *rows])


if __name__ == "__main__":
    main()
