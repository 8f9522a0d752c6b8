"""A refresh of the statistics is done by a worker, and never lost."""

from __future__ import annotations

import pytest

from tests.servers import wait_for
from tests.tasks.conftest import delivering

REFRESH = "/api/v2/stats/refresh"


@pytest.fixture(scope="module")
def delivery(environ, app):
    """The relay and a worker."""
    with delivering(environ) as running:
        yield running


@pytest.fixture
def admin(make_user, as_user):
    return as_user(make_user(role="admin"), "v2")


@pytest.fixture
def ended(admin):
    """ended(asked): wait for the end of the refresh that was asked for; how it is then."""

    def wait(asked):
        address = asked.headers["Location"]
        return wait_for(lambda: (told := admin.get(address).json)["finished_at"] and told)

    return wait


def test_a_worker_computes_all_parts_and_the_next_answer_shows_them(
    delivery, admin, client, make_user, make_post, ended
):
    alice = make_user()
    make_post(alice)
    before = client.get("/api/v2/stats").json
    make_post(alice)
    told = ended(admin.post(REFRESH))
    assert (told["status"], told["done"], told["total"], told["error"]) == ("done", 4, 4, None)
    assert told["created_at"] <= told["started_at"] <= told["finished_at"]
    after = client.get("/api/v2/stats").json
    assert (before["words"]["posts"], after["words"]["posts"]) == (1, 2)
    assert before["computed_at"] < told["started_at"] <= after["computed_at"]


def test_what_is_old_is_computed_anew_by_a_worker_once_somebody_asks(delivery, client, sql, make_user, make_post):
    alice = make_user()
    make_post(alice)
    client.get("/api/v2/stats")
    make_post(alice)
    sql("UPDATE statistics SET computed_at = '2026-01-01' WHERE part = 'categories'")
    first = client.get("/api/v2/stats").json
    assert first["categories"]["items"] == [{"name": "general", "posts": 1}]
    wait_for(lambda: client.get("/api/v2/stats").json["categories"]["items"] == [{"name": "general", "posts": 2}])
    after = client.get("/api/v2/stats").json
    assert after["words"] == first["words"], "it was not old"


def test_a_refresh_waits_for_a_broker_that_is_away(delivery, admin, ended):
    delivery.broker.popen.kill()
    delivery.broker.popen.wait()
    asked = admin.post(REFRESH)
    assert asked.status_code == 202
    wait_for(lambda: "the broker does not answer" in delivery.relay.output)
    assert admin.get(asked.headers["Location"]).json["status"] == "queued"
    delivery.restart_broker()
    assert ended(asked)["status"] == "done"
