"""What a listener has been told: each row once, by no more than the last minute's ids, however long he listens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from app.extensions import db
from app.models import Notification
from app.services import arrivals
from app.services.atomic import end_read
from tests.api.v2.conftest import Clock

LITTLE = 0.25  # a look of the stream


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(arrivals, "now", clock.now)
    return clock


@pytest.fixture
def anna(app, make_user):
    """The id of a user who listens, within an application context."""
    user = make_user(username="anna")
    with app.app_context():
        yield user.id


@pytest.fixture
def write(anna, clock):
    """write(id …): so many rows of the inbox, committed now."""

    def insert_them(*ids):
        about = {"user_id": anna, "channel": "inbox", "kind": "welcome", "created_at": clock.now()}
        with db.engine.begin() as connection:
            connection.execute(insert(Notification), [about | {"id": id, "event_id": f"{id}"} for id in ids])

    return insert_them


@pytest.fixture
def look(anna):
    """look(told, most): the ids that are new to that listener."""

    def tell(told, most=200):
        end_read()
        new, known = arrivals.untold(anna, told, most)
        told.add(known)
        return [row.id for row in new]

    return tell


def test_a_stream_that_tells_at_once_remembers_a_minute_and_no_more(anna, clock, write, look):
    told, heard, most = arrivals.told_before(anna, None), [], 0
    for first in range(1, 2001, 5):
        write(*range(first, first + 5))
        heard += look(told)
        clock.forward(seconds=5 * LITTLE)
        most = max(most, len(told.young))
    assert heard == list(range(1, 2001)), "each once"
    assert most <= arrivals.SETTLED_AFTER / timedelta(seconds=LITTLE) + 5
    assert told.floor >= 2000 - most - 5


def test_what_is_committed_late_is_told_although_more_of_it_comes_than_is_taken(anna, clock, write, look):
    """A row that was told does not raise the floor over a smaller one that was not."""
    told = arrivals.told_before(anna, None)
    write(9)
    assert look(told) == [9]
    write(1, 2, 3)
    with db.engine.begin() as connection:
        connection.execute(Notification.__table__.delete().where(Notification.id == 9))
    clock.forward(seconds=61)
    assert [look(told, 1) for _ in range(4)] == [[1], [2], [3], []]
