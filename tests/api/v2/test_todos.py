"""v2's todos: one's own only (API.md, `/todos`; HARDENING E2)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, fields_of

TODOS = f"{V2}/todos"


@pytest.fixture
def url(alice, make_todo):
    """The address of a todo of Alice's."""
    return f"{TODOS}/{make_todo(alice)}"


def _tasks(client, **query):
    return [item["task"] for item in client.get(TODOS, query_string=query).json["items"]]


def test_a_todo_that_is_written_can_be_read_at_its_location(hers):
    made = hers.post(TODOS, json={"task": "Buy ink", "due_at": "2026-12-24T18:00:00+01:00"})
    assert made.status_code == 201
    assert set(made.json) == {
        *("id", "task", "done", "due_at", "time_zone", "priority", "position", "tags", "parent_id", "post_id"),
        *("required", "remind_minutes_before", "recurrence", "completed_count", "last_done_at", "created_at"),
    }
    assert (made.json["done"], made.json["due_at"]) == (False, "2026-12-24T17:00:00.000000Z")
    assert made.headers["Location"] == f"{TODOS}/{made.json['id']}"
    assert hers.get(made.headers["Location"]).json == made.json


def test_a_todo_that_was_written_twice_under_a_key_is_one(hers):
    answers = [hers.post(TODOS, json={"task": "Buy ink"}, headers={"Idempotency-Key": "k"}) for _ in "ab"]
    assert answers[0].json == answers[1].json
    assert _tasks(hers) == ["Buy ink"]


@pytest.mark.parametrize(
    "change",
    [
        *({"task": "Buy paper"}, {"due_at": "2026-12-24T18:00:00.000000Z"}, {"due_at": None}, {"priority": 1}),
        *({"tags": ["home", "b"]}, {"time_zone": "Europe/Berlin"}, {"required": True}),
        {"remind_minutes_before": [0, 60]},
        {"recurrence": {"rule": "FREQ=DAILY", "mode": "fixed"}},
    ],
    ids=str,
)
def test_a_change_is_partial_and_seen_at_once(url, hers, change):
    hers.patch(url, json={"due_at": "2027-01-01T00:00:00Z"})
    before = hers.get(url).json
    assert hers.patch(url, json=change).json == before | change
    assert hers.get(url).json == before | change
    assert hers.get(TODOS).json["items"] == [before | change]


def test_a_deleted_todo_is_gone(url, hers):
    assert (hers.get(url).status_code, _tasks(hers)) == (200, ["Buy ink"])
    answer = hers.delete(url)
    assert (answer.status_code, answer.data) == (204, b"")
    assert (hers.get(url).status_code, hers.delete(url).status_code, _tasks(hers)) == (404, 404, [])


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_to_a_todo_that_has_moved_on_is_412(url, hers, method):
    headers = {"If-Match": hers.get(url).headers["ETag"]}
    hers.patch(url, json={"task": "Buy paper"})
    assert hers.open(url, method=method, json={"done": True}, headers=headers).status_code == 412
    assert (hers.get(url).json["task"], hers.get(url).json["done"]) == ("Buy paper", False)
    now = {"If-Match": hers.get(url).headers["ETag"]}
    assert hers.open(url, method=method, json={"done": True}, headers=now).status_code in (200, 204)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_anothers_todo_is_as_one_that_never_was(url, hers, admins, acting, make_user, method):
    """Not even an admin's business; also where its owner has just read it."""
    assert hers.get(url).status_code == 200
    body = {"task": "x"} if method == "PATCH" else None
    for person in (admins, acting(make_user())):
        there, never = (person.open(one, method=method, json=body) for one in (url, f"{TODOS}/987654321"))
        assert (there.status_code, never.status_code) == (404, 404)
        assert there.json | {"request_id": ""} == never.json | {"request_id": ""}
        assert _tasks(person) == []
    assert hers.get(url).json["task"] == "Buy ink"


def test_todos_are_oldest_first_filtered_and_paged(alice, make_todo, hers):
    for n in range(5):
        make_todo(alice, task=f"{n}", done=n % 2 == 0)
    assert (_tasks(hers), _tasks(hers, done="true"), _tasks(hers, done="false")) == (
        ["0", "1", "2", "3", "4"],
        ["0", "2", "4"],
        ["1", "3"],
    )
    first = hers.get(TODOS, query_string={"limit": 2, "done": "true", "total": "true"}).json
    second = hers.get(TODOS, query_string={"limit": 2, "done": "true", "cursor": first["page"]["next"]}).json
    assert [item["task"] for page in (first, second) for item in page["items"]] == ["0", "2", "4"]
    assert (first["page"]["total"], first["page"]["prev"], second["page"]["next"]) == (3, None, None)
    back = hers.get(TODOS, query_string={"limit": 2, "done": "true", "cursor": second["page"]["prev"]}).json
    assert back["items"] == first["items"]


def test_anothers_cursor_shows_nothing_of_his(alice, root, make_todo, hers, admins):
    for user in (alice, root, alice, root, alice):
        make_todo(user, task=user.username)
    place = hers.get(f"{TODOS}?limit=1").json["page"]["next"]
    assert set(_tasks(admins, cursor=place)) == {"root"}


def test_an_answer_is_its_owners_and_is_asked_for_each_time(url, hers):
    for path in (TODOS, url):
        answer = hers.get(path)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert hers.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("task", value) for value in ("", "  ", None, 7, "x" * 501, "a\x00")),
        *(("done", value) for value in (None, "true", 1, 0, [])),
        *(("due_at", value) for value in ("2026-12-24", "2026-12-24T18:00:00", "soon", 7, "2026-02-30T00:00:00Z")),
        *(("time_zone", value) for value in ("", "Europe/Atlantis", "../etc/passwd", "localtime", "utc", None, 1)),
        *(("priority", value) for value in (0, 5, "one", 1.5, True)),
        *(("tags", value) for value in ("home", [f"{n}" for n in range(11)])),
        *(("remind_minutes_before", value) for value in (5, None, [1, 2, 3, 4, 5, 6])),
        *((name, value) for name in ("parent_id", "post_id") for value in (0, "1", 2**63, 987654321)),
        *((name, value) for name in ("before", "after") for value in (None, 0, 987654321)),
        *(("required", value) for value in (None, 1)),
        *((name, 1) for name in ("id", "user_id", "created_at", "position", "completed_count", "")),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_bad_or_unknown_field_is_named(url, hers, sql, method, field, value):
    before = sql("SELECT * FROM todos")
    answer = hers.open(TODOS if method == "POST" else url, method=method, json={"task": "Buy ink"} | {field: value})
    assert (answer.status_code, set(fields_of(answer))) == (422, {field})
    assert sql("SELECT * FROM todos") == before


@pytest.mark.parametrize(
    "query", ["done=1", "done=", "done=TRUE", "limit=0", "cursor=x", "total=1", "sort=task", "done=true&done=true"]
)
def test_a_bad_or_unknown_parameter_is_refused_by_name(hers, query):
    answer = hers.get(f"{TODOS}?{query}")
    assert (answer.status_code, set(fields_of(answer))) == (422, {query.partition("=")[0]})
