"""The relay sleeps while nothing is due, and is woken by a commit that has something for it."""

from __future__ import annotations

import os
import time

import pytest

from app.events import PostPublished, emit
from app.services import nudges
from app.services.atomic import atomic

LONG = 2.0


@pytest.fixture
def pipe(app):
    with app.app_context():
        yield nudges.Pipe()


@pytest.fixture
def wakes(pipe):
    """wakes(): whether it is woken before LONG is over."""

    def wait() -> bool:
        began = time.monotonic()
        pipe.wait(LONG)
        return time.monotonic() - began < LONG / 2

    return wait


def test_a_commit_wakes_it_once(wakes):
    with atomic():
        emit(PostPublished(1))
    assert wakes()
    assert not wakes()


def test_what_is_not_committed_and_what_is_not_for_it_does_not(wakes):
    with pytest.raises(ZeroDivisionError), atomic():
        emit(PostPublished(1))
        raise ZeroDivisionError
    assert not wakes()


def test_nudges_that_nobody_hears_are_no_fault(app, pipe):
    full = os.open(nudges._path(), os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    with atomic():
        emit(PostPublished(1))
    os.close(full)
    nudges._path().unlink()
    with atomic():
        emit(PostPublished(1))
