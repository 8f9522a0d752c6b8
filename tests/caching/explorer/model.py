"""All that can happen next, whoever does it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .agent import agent_steps, time_steps
from .reading import process_steps, reader_steps
from .search import Explored, Progress, explore
from .state import State, World, beginning
from .writing import fold_steps, writer_steps


def steps(world: World, state: State) -> Iterator[tuple[str, str, State]]:
    for index in range(len(state.writers)):
        yield from writer_steps(world, state, index)
    for index in range(len(state.readers)):
        yield from reader_steps(world, state, index)
    for number in range(len(state.processes)):
        yield from process_steps(world, state, number)
    if world.mode == "direct":
        return
    for index in range(len(state.agents)):
        if not world.agents or index % world.hosts not in world.processes:
            continue  # a page that nobody reads needs no agent
        yield from agent_steps(world, state, index)
    for folder in range(world.folders):
        yield from fold_steps(world, state, folder)
    yield from time_steps(world, state)


def explored(world: World, progress: Progress | None = None) -> Explored:
    return explore(beginning(world), partial(steps, world), progress)
