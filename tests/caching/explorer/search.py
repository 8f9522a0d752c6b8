"""Breadth first through all states: the first stale read found has the shortest trace."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .state import State

Progress = Callable[[int, int, float], None]  # states, depth, seconds so far
Steps = Callable[[State], Iterator[tuple[str, str, State]]]


class Explored(NamedTuple):
    states: int
    depth: int
    seconds: float
    steps: Counter[str]  # how often each was taken: what never happened proves nothing
    trace: str  # of the first stale read; empty if there is none


def explore(first: State, steps: Steps, progress: Progress | None = None) -> Explored:
    """Every state reachable from `first`, or those up to the first stale read."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here is in a cycle, and looking for some among millions of tuples takes most of the time
    try:
        return breadth_first(first, steps, progress)
    finally:
        if collecting:
            gc.enable()


def breadth_first(first: State, steps: Steps, progress: Progress | None) -> Explored:
    began, depth, taken = time.monotonic(), 0, Counter[str]()
    origins: dict[State, tuple[State, str, str] | None] = {first: None}
    layer = [first]
    while layer:
        following = []
        for state in layer:
            for who, what, after in steps(state):
                taken[what] += 1
                origin = (state, who, what)
                if origins.setdefault(after, origin) is not origin:
                    continue
                if after.stale:
                    return Explored(len(origins), depth + 1, time.monotonic() - began, taken, trace(origins, after))
                following.append(after)
        layer = following
        depth += bool(layer)
        if progress:
            progress(len(origins), depth, time.monotonic() - began)
    return Explored(len(origins), depth, time.monotonic() - began, taken, "")


def trace(origins: dict[State, tuple[State, str, str] | None], state: State) -> str:
    """The way from the first state to this one, a step a line."""
    lines = [state.stale]
    while origin := origins[state]:
        clocks = "/".join(map(str, state.clocks))
        state, who, what = origin
        lines.append(f"{clocks:>5}  {who}: {what}")
    return "\n".join(["clock", *reversed(lines)])
