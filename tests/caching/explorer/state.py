"""What there is: the database, pages, caches, and who is at which step of what.

A writer's random token is a bit of its own, so a generation (XOR of tokens) reads as the set of moves in it, and a
body as the set of writes it shows. Both are tuples with one number for each slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

MARGIN = 1  # by how much two hosts' clocks may count the same time differently
NEVER = -9

Numbers = tuple[int, ...]
Move = tuple[int, int, int]  # xid, slot, token


@dataclass(frozen=True)
class World:
    """A configuration: who there is, for how long, and which fault is built in."""

    mode: str = "leased"  # or "direct"
    writers: tuple[Numbers, ...] = ((0,),)  # the slots that each moves
    writers_on: Numbers = (0,)  # the host of each
    beside: Numbers = ()  # writers who write in SQL beside the API: nobody waits to answer them
    readers: Numbers = (0,)  # the process of each
    processes: Numbers = (0,)  # the host of each
    slots: int = 1
    many: bool = False  # CACHE_HOSTS
    folders: int = 0  # agents of other hosts fold too
    joins_by: str = "arrival"  # or "generations": takes a flight's result if it noted what he noted
    far: bool = False
    only_generations: bool = False  # what a reader finds current must hold what was answered: a lemma, and fewer states
    reboots: int = 0
    agents: bool = True  # or none ever comes to life
    stamps: bool = False  # SQLite: `data_version` tells whether anything was committed since
    crashes: bool = False
    lease: int = 1  # in ticks
    last_tick: int = 2
    fault: str = ""

    @cached_property
    def hosts(self) -> int:
        return max(self.processes + self.writers_on) + 1


class Database(NamedTuple):
    rows: Numbers  # by slot: the writes that a statement sees now
    base: Numbers
    moves: frozenset[Move]  # committed, not yet folded
    upto: int = 1
    next_xid: int = 1


class Writer(NamedTuple):
    at: str = "ready"
    xid: int = 0
    since: int = 0  # the clock when its COMMIT returned


class Page(NamedTuple):
    generations: Numbers
    checked_at: int = NEVER
    boot: int = 0


class Agent(NamedTuple):
    at: str = "down"
    question: int = NEVER  # the clock before it asked
    xmin: int = 0  # of its last question; 0: load everything
    seen: frozenset[Move] = frozenset()
    known: Numbers = ()


class Reader(NamedTuple):
    at: str = "idle"
    arrived: int = 0  # its clock
    floor: Numbers = ()  # what its answer must show
    noted: Numbers = ()  # the current generations, as found
    body: Numbers = ()
    stamp: Any = None


class Connection(NamedTuple):
    """A thread's own: `PRAGMA data_version` counts the changes that *this* connection has noticed."""

    version: int = 0
    noticed: Numbers = ()


class Flight(NamedTuple):
    leader: int
    arrived: frozenset[int]  # who was there before it began


class Process(NamedTuple):
    near: tuple[Numbers, Numbers] | None = None  # generations, body
    flight: Flight | None = None
    check: Numbers | None = None  # what a direct check was answered
    validated: tuple[Any, Numbers] | None = None  # the stamp, and the generations read under it


class State(NamedTuple):
    db: Database
    writers: tuple[Writer, ...]
    horizons: Numbers  # by who folds: xmin of its previous round of folding
    clocks: Numbers
    boots: Numbers
    pages: tuple[Page, ...]
    agents: tuple[Agent, ...]  # by host; after these, those left alive by a fault
    processes: tuple[Process, ...]
    readers: tuple[Reader, ...]
    far: frozenset[tuple[Numbers, Numbers]]
    answered: Numbers  # by slot: the writes whose answer was sent
    seen: Numbers  # by slot: the writes that anyone was shown
    connections: tuple[Connection, ...] = ()  # by reader
    stale: str = ""


def beginning(world: World) -> State:
    """Nothing written, nothing kept, no agent yet."""
    zeros, hosts = (0,) * world.slots, world.hosts
    return State(
        db=Database(zeros, zeros, frozenset()),
        writers=(Writer(),) * len(world.writers),
        horizons=(1,) * world.folders,  # as after a round before the beginning
        clocks=(0,) * hosts,
        boots=(0,) * hosts,
        pages=(Page(zeros),) * hosts,
        agents=(Agent(),) * hosts,
        processes=(Process(),) * len(world.processes),
        readers=(Reader(),) * len(world.readers),
        far=frozenset(),
        answered=zeros,
        seen=zeros,
        connections=(Connection(),) * len(world.readers) if world.stamps else (),
    )


def put(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    """The tuple with another item at `index`."""
    return (*items[:index], item, *items[index + 1 :])


def xor(numbers: Numbers, moves: Any) -> Numbers:
    """The generations after these moves."""
    after = list(numbers)
    for _, slot, token in moves:
        after[slot] ^= token
    return tuple(after)


def union(one: Numbers, other: Numbers) -> Numbers:
    return tuple(a | b for a, b in zip(one, other, strict=True))


def current(db: Database) -> Numbers:
    """The generations by one SELECT: the base XOR the tokens of the moves."""
    return xor(db.base, db.moves)


def xmin(state: State) -> int:
    """pg_snapshot_xmin: the lowest xid still at work; without one, the next to be given."""
    return min([w.xid for w in state.writers if w.at == "moved"], default=state.db.next_xid)
