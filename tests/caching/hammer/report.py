"""What came of it, for people."""

from __future__ import annotations

import sys
import time
from collections import Counter

from .board import COUNTS
from .run import Result

EVERY_SECONDS = 5.0
MOST_TRACES = 5
SHOWN = ("reads", "writes", "hits", "stale", "backwards")


class Progress:
    """A line, renewed every few seconds; a line each, where that cannot be."""

    def __init__(self, name: str) -> None:
        self._name, self._began, self._said = name, time.monotonic(), time.monotonic()

    def __call__(self, counts: dict[str, int], faults: Counter[str]) -> None:
        now = time.monotonic()
        if now - self._said < EVERY_SECONDS:
            return
        self._said = now
        told = ", ".join(f"{counts[name]:,} {name}" for name in SHOWN)
        line = f"{self._name}: {now - self._began:.0f} s, {told}, {faults.total()} faults"
        print(f"\r{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)


def table(results: list[Result]) -> str:
    """A row for each run, then the faults of each kind, then the first of what was stale."""
    names = [f"{r.world}{'' if r.protected else ', control'}" for r in results]
    lines = [f"{'world':22} {'seconds':>8} " + " ".join(f"{name:>11}" for name in (*COUNTS, "faults"))]
    for name, result in zip(names, results, strict=True):
        numbers = (*result.counts.values(), result.faults.total())
        verdict = "as it should be" if result.is_as_it_should else "WRONG"
        lines.append(f"{name:22} {result.seconds:>8.0f} " + " ".join(f"{n:>11,}" for n in numbers) + f"  {verdict}")
    for name, result in zip(names, results, strict=True):
        if result.faults:
            lines.append(f"{name}: " + ", ".join(f"{n} × {kind}" for kind, n in sorted(result.faults.items())))
    for name, result in zip(names, results, strict=True):
        if result.protected:
            lines += [f"{name}:\n{trace}" for trace in result.traces[:MOST_TRACES]]
    return "\n".join(lines)
