"""`make explore`: the large configurations, to the end."""

from __future__ import annotations

import sys
import time

from .model import explored
from .mutants import LARGE


def main() -> int:
    """Explore each, telling how far it is; then a table. 1 if a stale read was found."""
    rows, traces = [], []
    for name, world in LARGE.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        found = explored(world, Progress(name))
        rows.append(
            (name, f"{found.states:,}", found.depth, f"{found.seconds:.0f}", "STALE" if found.trace else "never stale")
        )
        traces += [f"{name}\n{found.trace}"] if found.trace else []
    print(f"{'configuration':32} {'states':>12} {'depth':>6} {'seconds':>8}")
    for name, states, depth, seconds, verdict in rows:
        print(f"{name:32} {states:>12} {depth:>6} {seconds:>8}  {verdict}")
    print(*traces, sep="\n\n")
    return bool(traces)


class Progress:
    """A line every few seconds."""

    def __init__(self, name: str, every: float = 5) -> None:
        self.name, self.every, self.said = name, every, time.monotonic()

    def __call__(self, states: int, depth: int, seconds: float) -> None:
        if time.monotonic() - self.said >= self.every:
            self.said = time.monotonic()
            print(f"{self.name}: {states:,} states, depth {depth}, {states / seconds:,.0f} a second", flush=True)


if __name__ == "__main__":
    sys.exit(main())
