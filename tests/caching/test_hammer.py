"""CACHE.md, proof 4, for some seconds: `tests/caching/hammer`, with faults, and its control. `make hammer` goes on."""

from __future__ import annotations

import random

import pytest

from tests.caching.hammer.report import table
from tests.caching.hammer.run import Hammer
from tests.caching.hammer.worlds import world
from tests.conftest import BACKEND

HERE = {"sqlite": ["sqlite"], "postgresql": ["postgresql", "leased"]}[BACKEND]
SECONDS = 10 / len(HERE)
CONTROL_SECONDS = 3.0
ENOUGH = {"hits": 2000, "unmodified": 100, "writes": 50, "repeats": 10, "beside": 3}  # else it goes on


@pytest.fixture(scope="module", params=HERE)
def hammer(request):
    with world(request.param, workers=1 if request.param == "leased" else 2) as made:
        seed = random.randrange(10**6)
        print(f"--seed {seed}")
        yield Hammer(made, readers=2, seed=seed, longest_stop=0.5, fault_pause=0.6, write_pause=0.1)


def is_enough(counts, faults):
    return faults.total() > 3 and all(counts[name] >= least for name, least in ENOUGH.items())


def test_the_hammer_finds_stale_answers_where_the_protection_is_off(hammer):
    """The control: a hammer that finds nothing here would prove nothing there."""
    result = hammer.unprotected(CONTROL_SECONDS)
    print(table([result]))
    assert result.counts["stale"] > 0


def test_whatever_fails_nobody_gets_an_answer_older_than_a_write_that_was_answered_for(hammer):
    result = hammer.protected(SECONDS, is_enough)
    print(table([result]))
    assert result.is_as_it_should, table([result])
    assert result.counts["reads"] > 500
