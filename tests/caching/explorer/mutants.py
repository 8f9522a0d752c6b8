"""The configurations, and the faults that must be found, each in the smallest configuration that can show it.

Where CACHE.md leaves a choice open, the wrong one is a fault here: what `upto` becomes when two hosts fold, and what a
page is worth after its host has booted again. Folding by the present xmin is none: `upto` alone keeps that right.
"""

from __future__ import annotations

from .state import World

TWO = {"writers": ((0,), (0,)), "writers_on": (0, 0), "beside": (1,)}
SMALL = {
    "one process": World(mode="direct", readers=(0, 0), crashes=True),
    "two processes": World(mode="direct", readers=(0, 1), processes=(0, 0), far=True),
    "SQLite": World(mode="direct", stamps=True, readers=(0, 0)),
    "two slots": World(mode="direct", writers=((0, 1), (1,)), writers_on=(0, 0), slots=2, crashes=True),
    "one host": World(last_tick=1),
    "one host, all killed at will": World(crashes=True, last_tick=1),
    "two readers, no agent": World(readers=(0, 0), agents=False, last_tick=1),
    "a page of two slots": World(writers=((0, 1),), slots=2, last_tick=1),
    "two writers": World(**TWO, last_tick=1, only_generations=True),
    "folding": World(**TWO, folders=1, last_tick=1, only_generations=True),
    "reboot": World(reboots=1, last_tick=1, only_generations=True),
    "a hung agent": World(last_tick=1, only_generations=True),
    "two hosts": World(processes=(1,), many=True, last_tick=2),
    "two hosts fold": World(**TWO, folders=2, last_tick=1, only_generations=True),
    "flights by generations": World(mode="direct", readers=(0, 0), joins_by="generations", crashes=True),
}

MUTANTS = [
    # Those of CACHE.md.
    ("no wait", "one host"),
    ("noted after the query", "one process"),
    ("noted after the query", "one host"),
    ("lease from the answer", "one host"),
    ("lapsed trusted", "one host"),
    ("far without generations", "two processes"),
    ("many as one", "two hosts"),
    # Ours.
    ("no wait", "two hosts"),
    ("no margin", "two hosts"),
    ("replay", "one host, all killed at will"),
    ("check of the same tick", "one host"),
    ("checked_at read last", "one host"),
    ("checked first", "one host"),
    ("hung agent lives on", "a hung agent"),
    ("xid after the last seen", "two writers"),
    ("seen forgotten", "two writers"),
    ("upto ignored", "folding"),
    ("flight begun before", "one process"),
    ("flight begun before", "two readers, no agent"),
    ("check begun before", "two readers, no agent"),
    ("page of another boot", "reboot"),
    ("stamp read last", "SQLite"),
    ("data_version compared between connections", "SQLite"),
    ("upto goes back", "two hosts fold"),
]

FULL_TWO = {"writers": ((0,), (0,)), "writers_on": (0, 0)}
SLOTS_TWO = {"writers": ((0,), (0, 1)), "writers_on": (0, 0), "slots": 2}
LARGE = {
    "direct, two slots": World(mode="direct", **SLOTS_TWO, readers=(0, 0), crashes=True),
    "direct, far": World(mode="direct", readers=(0, 0, 1), processes=(0, 0), far=True, crashes=True),
    "SQLite": World(mode="direct", **FULL_TWO, stamps=True, readers=(0, 0)),
    "one host, longer": World(lease=2, last_tick=4, far=True, crashes=True),
    "one host, two readers": World(readers=(0, 0), last_tick=1, crashes=True),
    "one host, two writers": World(**FULL_TWO, folders=1, last_tick=1),
    "folding, killed": World(**FULL_TWO, folders=2, last_tick=1, crashes=True, only_generations=True),
    "reboot": World(reboots=1, last_tick=1, far=True),
    "two hosts, both read": World(processes=(0, 1), readers=(0, 1), many=True, last_tick=2, only_generations=True),
    "two hosts, far": World(processes=(1,), many=True, last_tick=3, far=True, crashes=True),
}
