"""Clients and nemesis together, for a while."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers import Process, wait_for

from .board import GO, OPEN, READY, STOP
from .nemesis import Nemesis
from .plan import Plan
from .worlds import World

LOOK_SECONDS = 0.1
LATEST = 60.0  # seconds that a busy machine may take longer for what is enough
Counts, Faults = dict[str, int], Counter[str]
Enough = Callable[[Counts, Faults], bool]
AROUND_SECONDS = 5.0  # faults that are told with a stale read


@dataclass
class Result:
    """What a run came to."""

    world: str
    seconds: float
    protected: bool
    counts: Counts
    faults: Faults = field(default_factory=Counter)
    traces: list[str] = field(default_factory=list)

    @property
    def is_as_it_should(self) -> bool:
        """Protected: nothing was stale. The control: something was."""
        wrong = self.counts["stale"] + self.counts["backwards"]
        return not wrong if self.protected else self.counts["stale"] > 0


@dataclass
class Hammer:
    """How a world is hammered.

    :ivar progress: is told now and then what was counted so far, and of the faults.
    """

    world: World
    readers: int = 3
    seed: int = 1
    longest_stop: float = 3.0
    fault_pause: float = 2.0
    write_pause: float = 0.2
    progress: Callable[[Counts, Faults], None] = lambda counts, faults: None

    def protected(self, seconds: float, enough: Enough = lambda counts, faults: True) -> Result:
        """With the nemesis. If nothing is wrong, nothing is stale."""
        return self._run(seconds, enough, Nemesis(self.world, self.seed, self.fault_pause, self.longest_stop))

    def unprotected(self, seconds: float) -> Result:
        """The control: without protection, and without faults, until it has found something."""
        return self._run(seconds, lambda counts, faults: counts["stale"] > 0, None)

    def _run(self, seconds: float, enough: Enough, nemesis: Nemesis | None) -> Result:
        board, words = self.world.board, self.world.board.words
        board.begin()
        pause = self.write_pause if nemesis else self.write_pause / 10
        words[OPEN] = nemesis is None
        clients = self._clients(pause)
        try:
            wait_for(lambda: all(words[READY + n] for n in range(len(clients))))
            words[GO], began = 1, time.monotonic()
            faults: Faults = Counter()
            if nemesis:
                nemesis.start()
                faults = nemesis.counts
            until = began + seconds
            while time.monotonic() < until or (
                not enough(board.totals(), faults) and time.monotonic() < until + LATEST
            ):
                time.sleep(LOOK_SECONDS)
                self.progress(board.totals(), faults)
        finally:
            words[STOP] = words[GO] = 1
            if nemesis and nemesis.ident:
                nemesis.end()
            lasted = time.monotonic() - began
            said = [_end(client) for client in clients]
            words[OPEN] = 0
        assert not any(said), "\n".join(filter(None, said))
        assert self.world.is_up(), "a server has ended"
        told = self._traces(nemesis.log if nemesis else [])
        return Result(self.world.name, lasted, nemesis is not None, board.totals(), faults, told)

    def _clients(self, pause: float) -> list[Process]:
        world = self.world
        plan = Plan(
            ports=[server.port for server in world.servers],
            authors=world.authors,
            database=world.database,
            lease=world.lease,
            seed=self.seed,
            pause=pause,
            board=str(world.folder / "board"),
            trace=str(world.folder / "trace"),
        )
        path = world.folder / "plan"
        plan.save(path)
        (world.folder / "trace").write_text("")
        kinds = ["writer"] * len(world.authors) + ["reader"] * self.readers
        commands = ((sys.executable, "-m", f"tests.caching.hammer.{kind}", str(path)) for kind in kinds)
        return [Process(*command, str(number)) for number, command in enumerate(commands)]

    def _traces(self, faults: list[tuple[float, str]]) -> list[str]:
        """Each stale read, with the faults that were near."""
        told = []
        for line in (self.world.folder / "trace").read_text().splitlines():
            read: dict[str, Any] = json.loads(line)
            near = [f"{at - read['at']:+.3f} {what}" for at, what in faults if abs(at - read["at"]) < AROUND_SECONDS]
            told.append(json.dumps(read | {"faults": near}, indent=1))
        return told


def _end(client: Process) -> str | None:
    """Wait for its end; what it has said, if that was no good one."""
    try:
        client.popen.wait(30)
        return client.output if client.popen.returncode else None
    finally:
        client.stop()
