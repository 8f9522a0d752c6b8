"""What a todo has beside its task: order, subtasks, tags, and how a list is filtered and sorted by them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.models.base import now
from app.models.todo import GAP
from tests.api.v2.conftest import V2, fields_of

TODOS = f"{V2}/todos"


@pytest.fixture
def write(hers):
    """write(task, field=value …): the id of a new todo of Alice's."""

    def send(task="x", **data):
        answer = hers.post(TODOS, json={"task": task} | data)
        assert answer.status_code == 201, answer.json
        return answer.json["id"]

    return send


@pytest.fixture
def change(hers):
    """change(id, field=value …): the answer."""
    return lambda id, **data: hers.patch(f"{TODOS}/{id}", json=data)


@pytest.fixture
def read(hers):
    """read(id): as it is now."""
    return lambda id: hers.get(f"{TODOS}/{id}").json


@pytest.fixture
def tasks(hers):
    """tasks(parameter=value …): of the list, as one text."""
    return lambda **query: "".join(item["task"] for item in hers.get(TODOS, query_string=query).json["items"])


def test_new_todos_stand_behind_the_old_ones(write, tasks):
    for task in "abc":
        write(task)
    assert tasks(sort="position") == "abc"


@pytest.mark.parametrize(
    ("moved", "side", "other", "order"),
    [
        *(("c", "before", "a", "cab"), ("c", "before", "b", "acb"), ("a", "before", "c", "bac")),
        *(("a", "after", "c", "bca"), ("a", "after", "b", "bac"), ("c", "after", "a", "acb")),
        *(("b", "after", "a", "abc"), ("b", "before", "c", "abc")),
    ],
)
def test_a_todo_is_put_beside_another(write, change, tasks, moved, side, other, order):
    ids = {task: write(task) for task in "abc"}
    assert change(ids[moved], **{side: ids[other]}).status_code == 200
    assert tasks(sort="position") == order
    assert tasks() == "abc"


def test_to_move_one_changes_no_other(write, change, read):
    first, second, third = (write(task) for task in "abc")
    before = read(first), read(second)
    change(third, before=second)
    assert (read(first), read(second)) == before


def test_a_new_todo_can_be_written_in_its_place(write, tasks):
    first = write("a")
    write("c")
    write("b", after=first)
    assert tasks(sort="position") == "abc"


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("names", ["lr", "rl"], ids=["older than both", "younger than both"])
def test_there_is_always_room_between_two(write, change, tasks, side, names):
    """More often than GAP can be halved; for older todos and for younger ones."""
    many = [chr(ord("A") + n) for n in range(GAP.bit_length() + 5)]
    ids = {task: write(task) for task in ([*many, "l", "r"] if names == "lr" else ["l", "r", *many])}
    between = ""
    for task in many:
        change(ids[task], **{side: ids["l" if side == "after" else "r"]})
        between = task + between if side == "after" else between + task
        order = tasks(sort="position", limit=100)
        assert order.partition("l")[2].partition("r")[0] == between


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_has_one_place_with_others_is_told_apart(write, change, tasks, sql, side):
    """As the rows have that a release before made, or two requests at once."""
    ids = {task: write(task) for task in "abcd"}
    sql("UPDATE todos SET position = 1125899906842624")
    assert tasks(sort="position") == "abcd"
    change(ids["d"], **{side: ids["b"]})
    assert tasks(sort="position") == ("adbc" if side == "before" else "abdc")


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_place_is_beside_another_todo_of_ones_own(write, change, root, make_todo, side):
    mine, anothers = write(), make_todo(root)
    for beside in (mine, anothers, 987654321):
        answer = change(mine, **{side: beside})
        assert (answer.status_code, fields_of(answer)) == (422, [side])


def test_a_place_is_before_or_after_but_not_both(write, change):
    one, other = write(), write()
    assert fields_of(change(one, before=other, after=other)) == ["before"]


def test_subtasks_are_one_level(write, change):
    parent = write()
    child = write(parent_id=parent)
    for id, above in ((write(), child), (parent, write()), (parent, parent)):
        answer = change(id, parent_id=above)
        assert (answer.status_code, fields_of(answer)) == (422, ["parent_id"])
    assert change(child, parent_id=None).json["parent_id"] is None


def test_nobody_hangs_a_todo_below_anothers(write, change, root, make_todo):
    there, never = (change(write(), parent_id=id) for id in (make_todo(root), 987654321))
    assert (there.status_code, fields_of(there)) == (422, ["parent_id"])
    assert there.json | {"request_id": ""} == never.json | {"request_id": ""}


def test_a_parent_takes_its_subtasks_with_it(write, hers, tasks):
    parent = write("p")
    write("a", parent_id=parent)
    write("b")
    assert (tasks(parent_id=parent), tasks()) == ("a", "pab")
    assert hers.delete(f"{TODOS}/{parent}").status_code == 204
    assert (tasks(parent_id=parent), tasks()) == ("", "b")


def test_to_close_a_parent_closes_its_subtasks(write, change, read):
    parent = write()
    child = write(parent_id=parent)
    assert read(child)["done"] is False
    change(parent, done=True)
    assert read(child)["done"] is True


def test_to_open_a_subtask_opens_its_parent(write, change, read):
    parent = write()
    child, other = write(parent_id=parent), write(parent_id=parent)
    change(parent, done=True)
    change(child, done=False)
    assert [read(id)["done"] for id in (parent, child, other)] == [False, False, True]


def test_a_new_subtask_opens_its_parent(write, change, read):
    parent = write()
    change(parent, done=True)
    write(parent_id=parent)
    assert read(parent)["done"] is False


def test_tags_are_spelled_as_those_of_posts_and_each_is_there_once(write, read, tasks):
    id = write("a", tags=["Home", "  home ", "Straße"])
    assert read(id)["tags"] == ["home", "strasse"]
    write("b", tags=["homes"])
    assert (tasks(tag="HOME"), tasks(tag="strasse"), tasks(tag="hom"), tasks(tag='"')) == ("a", "a", "", "")


def test_a_bad_tag_is_named_by_its_place(hers):
    answer = hers.post(TODOS, json={"task": "x", "tags": ["good", "a,b", 7]})
    assert (answer.status_code, fields_of(answer)) == (422, ["tags.1", "tags.2"])


def test_a_list_is_filtered_by_priority_and_by_what_is_done(write, change, tasks):
    write("a", priority=1)
    change(write("b", priority=1), done=True)
    write("c", priority=2)
    assert (tasks(priority=1), tasks(priority=1, done="false"), tasks(priority=3)) == ("ab", "a", "")


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        *(("created", "abcd"), ("-created", "dcba"), ("due_at", "cabd"), ("-due_at", "dbac")),
        *(("priority", "dbac"), ("priority,-due_at", "dbac"), ("position", "abcd"), ("-priority,due_at", "cabd")),
    ],
)
@pytest.mark.parametrize("limit", [1, 3])
def test_a_list_is_sorted_and_paged_in_that_order(write, hers, sort, order, limit):
    """What has no due time or priority stands last, `d` and `a` and `c`."""
    write("a", due_at="2027-01-02T00:00:00Z")
    write("b", due_at="2027-01-03T00:00:00Z", priority=2)
    write("c", due_at="2027-01-01T00:00:00Z")
    write("d", priority=1)
    query, found = {"sort": sort, "limit": limit}, ""
    while query.get("cursor") is not None or not found:
        answer = hers.get(TODOS, query_string=query).json
        found += "".join(item["task"] for item in answer["items"])
        query["cursor"] = answer["page"]["next"]
    assert found == order
    back = hers.get(TODOS, query_string=query | {"cursor": answer["page"]["prev"]}).json["items"]
    assert "".join(item["task"] for item in back) == order[: len(order) - len(answer["items"])][-limit:]


def test_a_cursor_is_good_for_its_own_order(write, hers):
    for _ in "ab":
        write()
    place = hers.get(f"{TODOS}?limit=1&sort=priority").json["page"]["next"]
    assert fields_of(hers.get(f"{TODOS}?limit=1&sort=position&cursor={place}")) == ["cursor"]


@pytest.mark.parametrize(
    "query",
    ["overdue=1", "priority=0", "priority=5", "tag=", "parent_id=x", "post_id=0", "sort=task", "sort=due_at,due_at"],
)
def test_a_bad_filter_is_refused_by_name(hers, query):
    answer = hers.get(f"{TODOS}?{query}")
    assert (answer.status_code, set(fields_of(answer))) == (422, {query.partition("=")[0]})


def test_what_is_open_and_was_due_is_overdue(write, change, tasks):
    past, future = ((now() + timedelta(hours=h)).isoformat() for h in (-1, 1))
    write("a", due_at=past)
    change(write("b", due_at=past), done=True)
    write("c", due_at=future)
    write("d")
    assert (tasks(overdue="true"), tasks(overdue="false")) == ("a", "bcd")


def test_what_becomes_overdue_shows_at_once_though_nobody_writes(write, tasks, monkeypatch):
    write("a", due_at=(now() + timedelta(seconds=30)).isoformat())
    for _ in "ab":
        assert (tasks(overdue="true"), tasks(overdue="false")) == ("", "a")
    monkeypatch.setattr("app.services.todos.now", lambda: now() + timedelta(seconds=31))
    assert (tasks(overdue="true"), tasks(overdue="false")) == ("a", "")


def test_a_list_without_the_clock_is_still_answered_from_the_cache(write, hers):
    write()
    query = {"sort": "position", "done": "false"}
    statuses = [hers.get(TODOS, query_string=query).headers["Cache-Status"] for _ in "ab"]
    assert ["; hit;" in status for status in statuses] == [False, True]
