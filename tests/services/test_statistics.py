"""How a refresh of the statistics runs: harmless twice, goes on where it failed, ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.extensions import db
from app.models import StatisticsRefresh
from app.models.base import now
from app.services import retention, statistics


@pytest.fixture
def admin(make_user, as_user):
    return as_user(make_user(role="admin"), "v2")


@pytest.fixture
def counting(monkeypatch):
    """counting(part, during): is called while that part is counted. The parts that were counted are in `.parts`."""

    def let(part, during):
        def count(former=statistics.PARTS[part].count):
            during()
            return former()

        monkeypatch.setitem(statistics.PARTS, part, replace(statistics.PARTS[part], count=count))

    let.parts = []
    for name in statistics.PARTS:
        let(name, lambda name=name: let.parts.append(name))
    return let


@pytest.fixture
def run(app):
    """run(id): as a worker would, once."""

    def attempt(id):
        with app.app_context():
            statistics.run_refresh("event", id)

    return attempt


@pytest.fixture
def asked(admin):
    """The id of a refresh that was asked for."""
    return admin.post("/api/v2/stats/refresh").json["id"]


@pytest.fixture
def told(admin):
    """told(id): how an admin sees that refresh."""
    return lambda id: admin.get(f"/api/v2/stats/refreshes/{id}").json


def test_its_progress_can_be_followed(counting, run, asked, told):
    seen = []
    counting("authors", lambda: seen.append(told(asked)))
    run(asked)
    ((status, done, total),) = [(one["status"], one["done"], one["total"]) for one in seen]
    assert (status, done, total) == ("running", list(statistics.PARTS).index("authors"), 4)
    assert told(asked)["status"] == "done"


def test_who_runs_it_again_computes_nothing_again(counting, run, asked, told):
    run(asked)
    before = told(asked)
    run(asked)
    assert counting.parts == list(statistics.PARTS)
    assert told(asked) == before


def test_an_attempt_goes_on_where_the_last_one_failed(counting, run, asked, told):
    failures = iter([OSError("no"), None])

    def fail_once():
        if error := next(failures):
            raise error

    counting("authors", fail_once)
    with pytest.raises(OSError):
        run(asked)
    half = told(asked)
    assert (half["status"], half["done"], half["error"]) == ("running", 2, "OSError('no')")
    run(asked)
    assert counting.parts == list(statistics.PARTS)
    whole = told(asked)
    assert (whole["status"], whole["done"], whole["error"]) == ("done", 4, None)


def test_after_three_failures_it_has_failed_and_another_may_be_asked_for(counting, run, admin, asked, told):
    def fail():
        raise OSError("\0 no")

    counting("posts_per_day", fail)
    for _ in range(2):
        with pytest.raises(OSError):
            run(asked)
    run(asked)  # and the outbox is told that it is done
    end = told(asked)
    assert (end["status"], end["done"], end["error"]) == ("failed", 0, "OSError('\\x00 no')")
    assert end["finished_at"]
    assert admin.post("/api/v2/stats/refresh").json["id"] != asked


def test_where_it_fails_again_and_again_it_is_not_tried_without_a_pause(app, client, sql, counting, run):
    def fail():
        raise OSError("no")

    client.get("/api/v2/stats/words")
    counting("words", fail)
    for paused in (False, True, False):
        if not paused:
            sql("UPDATE statistics_refreshes SET created_at = '2026-01-01 00:00:00'")
        sql(f"UPDATE statistics SET computed_at = '2026-01-0{1 + paused} 00:00:00'")
        client.get("/api/v2/stats/words")
        for (id,) in sql("SELECT id FROM statistics_refreshes WHERE open"):
            sql("UPDATE statistics_refreshes SET attempts = 2")
            run(id)
    assert sql("SELECT scope, done, open FROM statistics_refreshes") == [("expired", 0, None)] * 2


class Killed(BaseException):
    """The end of a process: nothing is noted."""


def test_one_that_kills_its_worker_each_time_has_failed(run, asked, told, counting):
    def die():
        raise Killed

    counting("posts_per_day", die)
    for _ in range(3):
        with pytest.raises(Killed):
            run(asked)
    assert told(asked)["status"] == "running"
    run(asked)
    end = told(asked)
    assert (end["status"], end["error"]) == ("failed", "Its worker was killed")


def test_what_two_at_once_have_done_is_not_counted_twice(counting, run, asked, told):
    """The outbox gives a message to another worker when the first takes too long."""
    seen, first = [], iter([True, False])

    def be_overtaken():
        if next(first):
            with pytest.raises(OSError):
                run(asked)

    def fail_once():
        seen.append(told(asked))
        if len(seen) == 1:
            raise OSError("no")

    counting("posts_per_day", be_overtaken)
    counting("authors", fail_once)
    run(asked)
    assert [(one["status"], one["done"]) for one in seen] == [("running", 2), ("running", 2)]
    assert told(asked)["status"] == "done"


def test_older_numbers_never_replace_newer_ones(app, client, sql):
    client.get("/api/v2/stats/words")
    newer = sql("SELECT numbers, computed_at FROM statistics")
    with app.app_context():
        statistics._keep("words", {"posts": 0}, now() - timedelta(minutes=1))
        db.session.remove()
    assert sql("SELECT numbers, computed_at FROM statistics") == newer


def test_a_refresh_is_forgotten_after_a_week(app, sql, asked, run):
    run(asked)
    sql("UPDATE statistics_refreshes SET finished_at = '2026-01-01'")
    with app.app_context():
        assert retention.prune()["statistics_refreshes"] == 1
        assert db.session.get(StatisticsRefresh, asked) is None
