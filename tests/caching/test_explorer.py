"""CACHE.md, proof 3: in no interleaving of the protocol's steps is a read stale, and each deliberate fault is found.

Small configurations; `make explore` goes through the large ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from .explorer.model import explored
from .explorer.mutants import MUTANTS, SMALL

HAPPENS = {  # in one configuration or another: what never happened was not proved
    "near hit", "far hit", "keeps and answers those who joined", "lease has lapsed", "direct check", "folds moves",
    "agent dies", "process killed", "killed before its answer", "replay finds it done", "rolls back", "reboots",
    "loads everything",
}  # fmt: skip


@pytest.fixture(scope="module")
def results():
    """Every small configuration of the protocol as it is meant."""
    return {name: explored(world) for name, world in SMALL.items()}


@pytest.mark.parametrize("name", SMALL)
def test_no_read_is_stale_whatever_the_order_of_steps(results, name):
    found = results[name]
    print(f"{name}: {found.states} states, {found.seconds:.1f} s")
    assert not found.trace, found.trace


def test_what_could_go_wrong_is_among_the_steps_explored(results):
    taken = sum((found.steps for found in results.values()), Counter())
    assert set(taken) >= HAPPENS


@pytest.mark.parametrize(("fault", "name"), MUTANTS)
def test_a_deliberate_fault_is_found(fault, name):
    found = explored(replace(SMALL[name], fault=fault))
    print(f"{fault}: {found.states} states\n{found.trace}")
    assert "STALE" in found.trace, f"{fault} went unnoticed in all {found.states} states of {name}"


def test_moves_may_be_folded_by_the_present_xmin_as_long_as_upto_is_heeded():
    """The previous round's only spares agents that ask often from loading everything."""
    assert not explored(replace(SMALL["folding"], fault="fold by the present xmin")).trace
