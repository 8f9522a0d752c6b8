"""/api/v2/admin/outbox: what waits, what was given up, and what to do with that."""

from __future__ import annotations

import pytest

from app.events import Notified, emit
from app.services import outbox
from app.services.atomic import atomic
from tests.api.v2.conftest import V2

OUTBOX = f"{V2}/admin/outbox"
MESSAGES = f"{OUTBOX}/messages"
EIGHT_TIMES = range(outbox.ATTEMPTS)


@pytest.fixture
def dead(app, sql):
    """The ids of three messages that were given up; a fourth waits."""
    with app.app_context():
        for id in (1, 2, 3, 4):
            with atomic():
                emit(Notified(id))
        *ids, _ = [row[0] for row in sql("SELECT id FROM outbox ORDER BY id")]
        for id in ids:
            for attempts in EIGHT_TIMES:
                outbox.begin_attempt(id, attempts)
                outbox.fail(id, attempts + 1, OSError("refused"))
    return ids


def test_it_says_how_much_waits_and_for_how_long(admins, dead, sql):
    state = admins.get(OUTBOX).json
    assert state.items() >= {"waiting": 1, "done": 0, "dead": 3}.items()
    assert 0 < state["oldest_seconds"] < 60
    sql("UPDATE outbox SET created_at = '2026-01-01' WHERE dead_at IS NULL")
    assert admins.get(OUTBOX).json["oldest_seconds"] > 3600
    sql("UPDATE outbox SET done_at = created_at WHERE dead_at IS NULL")
    assert admins.get(OUTBOX).json == {"waiting": 0, "done": 1, "dead": 3, "oldest_seconds": 0.0}


def test_what_was_given_up_is_listed_page_by_page_with_its_cause(admins, dead):
    first = admins.get(f"{MESSAGES}?limit=2&total=true").json
    assert first["page"]["total"] == 3
    second = admins.get(f"{MESSAGES}?limit=2&cursor={first['page']['next']}").json
    messages = [*first["items"], *second["items"]]
    assert [message["id"] for message in messages] == dead
    assert messages[0]["last_error"] == "OSError('refused')"
    assert (messages[0]["event"], messages[0]["ids"]) == ("Notified", {"notification_id": 1})
    assert (messages[0]["attempts"], messages[0]["done_at"]) == (8, None)
    assert messages[0]["dead_at"]


@pytest.mark.parametrize(("state", "number"), [("waiting", 1), ("done", 0), ("dead", 3)])
def test_any_state_can_be_listed(admins, dead, state, number):
    assert len(admins.get(f"{MESSAGES}?state={state}").json["items"]) == number


def test_one_can_begin_anew_or_be_discarded(admins, dead, sql):
    first, second, third = dead
    assert admins.post(f"{MESSAGES}/{first}/replay").status_code == 204
    assert admins.post(f"{MESSAGES}/{second}/discard").status_code == 204
    assert sql("SELECT id FROM outbox WHERE dead_at IS NOT NULL") == [(third,)]
    assert sql("SELECT attempts FROM outbox WHERE id = :id", id=first) == [(0,)]
    assert sql("SELECT count(*) FROM outbox WHERE id = :id", id=second) == [(0,)]


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_one_that_was_not_given_up_is_404(admins, dead, sql, verb):
    before = sql("SELECT * FROM outbox ORDER BY id")
    assert admins.post(f"{MESSAGES}/{dead[-1] + 1}/{verb}").status_code == 404
    assert sql("SELECT * FROM outbox ORDER BY id") == before


@pytest.mark.parametrize(
    ("verb", "after"), [("replay", {"waiting": 4, "dead": 0}), ("discard", {"waiting": 1, "dead": 0})]
)
def test_all_can_begin_anew_or_be_discarded(admins, dead, verb, after):
    assert admins.post(f"{OUTBOX}/{verb}").json == {"messages": 3}
    assert admins.get(OUTBOX).json.items() >= after.items()
