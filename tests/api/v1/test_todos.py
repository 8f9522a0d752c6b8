"""v1's todos: one's own only, cached under the owner's key, never shared (API.md)."""

from __future__ import annotations

import itertools

import pytest

from app.caching import PRIVATE

TODOS = "/api/v1/todos"


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def hers(as_user, alice):
    return as_user(alice)


@pytest.fixture
def his(as_user, make_user):
    return as_user(make_user(username="bob"))


def test_a_todo_that_is_written_can_be_read_at_its_location(hers):
    written = hers.post(TODOS, json={"task": "Buy ink", "due_at": "2026-12-24T19:00:00+01:00"})
    assert written.status_code == 201
    assert written.json | {"id": 0, "created_at": ""} == {
        "id": 0,
        "task": "Buy ink",
        "done": False,
        "due_at": "2026-12-24T18:00:00.000000Z",
        "created_at": "",
    }
    assert hers.get(written.headers["Location"]).json == written.json


def test_the_list_is_ones_own_oldest_first(hers, his):
    for n in range(3):
        hers.post(TODOS, json={"task": f"hers {n}"})
    his.post(TODOS, json={"task": "his"})
    answer = hers.get(TODOS)
    assert [todo["task"] for todo in answer.json] == ["hers 0", "hers 1", "hers 2"]
    assert answer.headers["X-Total-Count"] == "3"


def test_the_list_is_filtered_by_done(hers):
    done, open_ = (hers.post(TODOS, json={"task": "x", "done": done}).json["id"] for done in (True, False))
    assert [todo["id"] for todo in hers.get(f"{TODOS}?done=true").json] == [done]
    assert [todo["id"] for todo in hers.get(f"{TODOS}?done=false").json] == [open_]


def test_a_change_is_partial_and_is_seen_by_the_next_read(hers):
    url = hers.post(TODOS, json={"task": "Buy ink"}).headers["Location"]
    hers.get(url)
    hers.get(TODOS)
    assert hers.put(url, json={"done": True}).json["task"] == "Buy ink"
    assert hers.get(url).json["done"] is True
    assert hers.get(TODOS).json[0]["done"] is True


def test_a_todo_can_be_sent_back_as_it_was_read(hers):
    url = hers.post(TODOS, json={"task": "Buy ink"}).headers["Location"]
    read = hers.get(url).json
    assert hers.put(url, json=read).json == read


def test_a_todo_is_deleted_for_good(hers):
    url = hers.post(TODOS, json={"task": "Buy ink"}).headers["Location"]
    answer = hers.delete(url)
    assert (answer.status_code, answer.json) == (200, {"message": "Todo deleted"})
    assert hers.get(url).status_code == 404
    assert hers.get(TODOS).json == []


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_anothers_todo_is_as_if_it_were_not_there(hers, his, method):
    """HARDENING E2: the same answer as for an id that nobody has."""
    url = hers.post(TODOS, json={"task": "secret"}).headers["Location"]
    hers.get(url)
    answers = [getattr(his, method)(at, json={"done": True}) for at in (url, f"{TODOS}/999999")]
    assert [(answer.status_code, answer.data) for answer in answers] == [(404, answers[0].data)] * 2
    assert answers[0].json == {"error": "Not Found", "message": "Todo not found"}
    assert hers.get(url).json["done"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "task"),
        ({"task": ""}, "task"),
        ({"task": "  "}, "task"),
        ({"task": "x" * 501}, "task"),
        ({"task": "a\x00b"}, "task"),
        ({"task": 1}, "task"),
        ({"task": "x", "done": "true"}, "done"),
        ({"task": "x", "done": 1}, "done"),
        ({"task": "x", "done": None}, "done"),
        ({"task": "x", "due_at": "tomorrow"}, "due_at"),
        ({"task": "x", "due_at": "2026-12-24T18:00:00"}, "due_at"),
        ({"task": "x", "due_at": "0001-01-01T00:00:00+14:00"}, "due_at"),
        ({"task": "x", "due_at": 5}, "due_at"),
    ],
)
def test_bad_input_is_named_by_its_field_and_writes_nothing(hers, sql, body, field):
    answer = hers.post(TODOS, json=body)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [field]
    assert sql("SELECT count(*) FROM todos")[0][0] == 0


@pytest.mark.parametrize("query", ["done=1", "done=yes", "done=True", "done=", "done=true&done=false", "page=0"])
def test_a_bad_parameter_is_named(hers, query):
    answer = hers.get(f"{TODOS}?{query}")
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_the_second_read_is_a_hit_that_only_its_owner_may_keep(hers):
    hers.post(TODOS, json={"task": "Buy ink"})
    first, second = hers.get(TODOS), hers.get(TODOS)
    assert first.headers["Cache-Status"].endswith("stored")
    assert "; hit;" in second.headers["Cache-Status"]
    for answer in (first, second):
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in answer.headers["Vary"]
    again = hers.get(TODOS, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "private, no-cache")


def test_a_link_says_nothing_of_who_asks(hers):
    for _ in range(2):
        hers.post(TODOS, json={"task": "x"})
    assert hers.get(f"{TODOS}?per_page=1").headers["Link"] == (
        '</api/v1/todos?per_page=1>; rel="first", </api/v1/todos?page=2&per_page=1>; rel="next"'
    )


def test_a_write_of_one_user_leaves_anothers_entries_alone(hers, his):
    for client in (hers, his):
        client.get(TODOS)
    hers.post(TODOS, json={"task": "x"})
    assert "; hit;" in his.get(TODOS).headers["Cache-Status"]
    assert "fwd=stale" in hers.get(TODOS).headers["Cache-Status"]


@pytest.mark.parametrize("order", list(itertools.permutations(["hers", "his", "admin", "nobody"])))
def test_in_whatever_order_they_ask_nobody_sees_anothers(hers, his, app, as_user, make_user, coherence, order):
    """CACHE.md, proof 6: canaries."""
    clients = {"hers": hers, "his": his, "admin": as_user(make_user(role="admin")), "nobody": app.test_client()}
    for name, client in clients.items():
        client.post(TODOS, json={"task": f"canary of {name}"})
    for near in (True, False):
        for name in (*order, *order):
            if not near:
                coherence.near.clear()
            answer = clients[name].get(TODOS)
            if name == "nobody":
                assert (answer.status_code, answer.json["code"]) == (401, "missing_token")
            else:
                assert [todo["task"] for todo in answer.json] == [f"canary of {name}"]


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_two_users_of_one_slot_share_no_entry(hers, alice, as_user, make_user, coherence, far):
    """Slots are taken modulo: their generations are the same, so only the owner in the key keeps them apart."""
    namesake = as_user(make_user(id=alice.id + PRIVATE.size))
    hers.post(TODOS, json={"task": "secret"})
    assert len(hers.get(TODOS).json) == 1
    if far:
        coherence.near.clear()
    answer = namesake.get(TODOS)
    assert answer.json == []
    assert "; hit;" not in answer.headers["Cache-Status"]


def test_a_token_that_was_revoked_gets_nothing_from_the_cache(hers):
    hers.post(TODOS, json={"task": "secret"})
    hers.get(TODOS)
    assert "; hit;" in hers.get(TODOS).headers["Cache-Status"]
    hers.post("/api/v1/users/logout")
    assert hers.get(TODOS).status_code == 401


def test_todos_go_with_their_user_and_nobody_else_gets_them(hers, alice, sql):
    hers.post(TODOS, json={"task": "secret"})
    sql("DELETE FROM users WHERE id = :id", id=alice.id)
    assert sql("SELECT count(*) FROM todos")[0][0] == 0
    assert hers.get(TODOS).status_code == 401
