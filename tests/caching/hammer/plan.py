"""What the clients are told: where the servers are, what is to be read and written, as whom."""

from __future__ import annotations

import json
import random
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .board import GO, READY, STOP, Board


@dataclass
class Author:
    """A user, whose post and todo count up, and whose other todos are replaced by later ones.

    Their numbers as things on the board follow one another: post, todo, others.
    """

    thing: int
    user_id: int
    post_id: int
    todo_id: int
    token: str


@dataclass
class Plan:
    """`lease` is how many seconds a write beside the API may stay unseen; none: direct mode, where nobody goes back."""

    ports: list[int]
    authors: list[Author]
    database: str
    lease: float
    seed: int
    pause: float
    board: str
    trace: str

    @property
    def is_strict(self) -> bool:
        """Whether nobody sees less than what anybody has seen (I2)."""
        return not self.lease

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: str) -> Plan:
        values: dict[str, Any] = json.loads(Path(path).read_text())
        values["authors"] = [Author(**author) for author in values["authors"]]
        return cls(**values)


class Client(ABC):
    """A process with a number, which reads or writes until the board says stop: `python -m … PLAN NUMBER`."""

    def __init__(self, plan: Plan, number: int) -> None:
        self.plan, self.number = plan, number
        self.board = Board(Path(plan.board))
        self.words, self.counter = self.board.words, self.board.counter(number)
        self.random = random.Random(f"{plan.seed} {number}")

    @classmethod
    def main(cls) -> None:
        client = cls(Plan.load(sys.argv[1]), int(sys.argv[2]))
        client.words[READY + client.number] = 1
        while not client.words[GO]:
            time.sleep(0.002)
        while not client.words[STOP]:
            client.step()

    @abstractmethod
    def step(self) -> None:
        """Read or write once."""
