"""Todos that come again: who says that one is done has it open at its next date."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.api.v2.conftest import V2, fields_of

TODOS = f"{V2}/todos"
DAILY, WEEKLY = {"rule": "FREQ=DAILY"}, {"rule": "FREQ=WEEKLY;BYDAY=MO"}
DUE = "2027-03-27T07:00:00Z"  # a Saturday; 08:00 in Berlin, whose clocks are put forward that night


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """clock("2027-03-27T08:00"): that is the present, in UTC."""

    def set_to(text: str) -> None:
        time = datetime.fromisoformat(text).replace(tzinfo=UTC)
        for module in ("todos", "reminders"):
            monkeypatch.setattr(f"app.services.{module}.now", lambda: time)

    set_to("2027-03-27T07:30")
    return set_to


@pytest.fixture
def write(hers):
    """write(field=value …): the address of a new todo."""

    def send(**data):
        answer = hers.post(TODOS, json={"task": "Water", "due_at": DUE, "recurrence": DAILY} | data)
        assert answer.status_code == 201, answer.json
        return answer.headers["Location"]

    return send


@pytest.fixture
def change(hers):
    """change(address, field=value …): the todo after it."""

    def send(url, **data):
        answer = hers.patch(url, json=data)
        assert answer.status_code == 200, answer.json
        assert hers.get(url).json == answer.json
        return answer.json

    return send


def due(todo):
    assert todo["done"] is False
    return todo["due_at"][:16]


def test_what_recurs_stays_open_and_says_that_it_was_done(write, change, hers):
    url = write()
    assert hers.get(url).json["recurrence"] == {"rule": "FREQ=DAILY", "mode": "fixed"}
    todo = change(url, done=True)
    assert (due(todo), todo["completed_count"], todo["last_done_at"]) == (
        "2027-03-28T07:00", 1, "2027-03-27T07:30:00.000000Z",
    )  # fmt: skip


def test_at_the_same_time_by_the_clocks_of_its_zone(write, change, clock):
    url = write(time_zone="Europe/Berlin")
    assert due(change(url, done=True)) == "2027-03-28T06:00"
    clock("2027-10-30T12:00")
    assert due(change(url, done=True)) == "2027-10-31T07:00"


def test_a_time_that_the_clocks_skip_once_is_kept_for_the_days_after(write, change, clock):
    url = write(due_at="2027-03-27T01:30:00Z", time_zone="Europe/Berlin")
    assert due(change(url, done=True)) == "2027-03-28T01:30"  # 02:30 is skipped: it is 03:30
    clock("2027-03-28T08:00")
    assert due(change(url, done=True)) == "2027-03-29T00:30"  # 02:30


def test_after_completion_it_is_reckoned_from_the_day_on_which_it_is_done(write, change, clock):
    url = write(recurrence={"rule": "FREQ=DAILY;INTERVAL=3", "mode": "after_completion"})
    clock("2027-04-10T20:00")
    assert due(change(url, done=True)) == "2027-04-13T07:00"


def test_what_comes_a_number_of_times_is_done_after_the_last(write, change, clock):
    url = write(recurrence={"rule": "FREQ=DAILY;COUNT=3"})
    for day in ("28", "29"):
        assert due(change(url, done=True)) == f"2027-03-{day}T07:00"
    todo = change(url, done=True)
    assert (todo["done"], todo["due_at"][:10], todo["completed_count"]) == (True, "2027-03-29", 3)


def test_dates_that_nobody_kept_count_too(write, change, clock):
    url = write(recurrence={"rule": "FREQ=DAILY;COUNT=3"})
    clock("2027-03-29T06:00")
    assert due(change(url, done=True)) == "2027-03-29T07:00"
    assert change(url, done=True)["done"] is True


def test_after_its_end_it_is_done(write, change):
    assert change(write(recurrence={"rule": "FREQ=DAILY;UNTIL=20270327"}), done=True)["done"] is True


def test_without_a_rule_it_is_done(write, change):
    url = write()
    change(url, recurrence=None)
    todo = change(url, done=True)
    assert (todo["done"], todo["due_at"][:16]) == (True, DUE[:16])


def test_another_due_time_begins_another_series(write, change):
    url = write(recurrence={"rule": "FREQ=WEEKLY"})
    change(url, due_at="2027-03-30T09:00:00Z")
    assert due(change(url, done=True)) == "2027-04-06T09:00"


def test_who_sends_back_what_he_has_read_begins_nothing_anew(write, change, hers):
    url = write(recurrence={"rule": "FREQ=DAILY;COUNT=2"})
    change(url, done=True)
    read = hers.get(url).json
    change(url, due_at=read["due_at"], recurrence=read["recurrence"], time_zone=read["time_zone"])
    assert change(url, done=True)["done"] is True


def test_what_is_done_in_one_request_with_another_due_time_goes_on_from_there(write, change):
    assert due(change(write(), done=True, due_at="2027-03-29T09:00:00Z")) == "2027-03-30T09:00"


def test_its_subtasks_begin_anew_with_it(write, change, hers):
    parent = write()
    child = write(parent_id=hers.get(parent).json["id"], recurrence=None)
    change(child, done=True)
    change(parent, done=True)
    assert hers.get(child).json["done"] is False


def test_a_write_to_what_has_moved_on_is_412(write, change, hers):
    url = write()
    etag = hers.get(url).headers["ETag"]
    change(url, done=True)
    again = hers.patch(url, json={"done": True}, headers={"If-Match": etag})
    assert (again.status_code, hers.get(url).json["completed_count"]) == (412, 1)


def test_v1_sees_it_open_at_its_next_date(write, as_user, alice):
    answer = as_user(alice).put(write().replace("v2", "v1"), json={"done": True})
    assert (set(answer.json), due(answer.json)) == ({"id", "task", "done", "due_at", "created_at"}, "2027-03-28T07:00")


@pytest.mark.parametrize(
    ("recurrence", "field"),
    [
        *(({"rule": rule}, "recurrence.rule") for rule in ("", "FREQ=HOURLY", "x", 1, None, "FREQ=DAILY;" * 30)),
        *(({"rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence.rule"), ({}, "recurrence.rule")),
        ({"rule": "FREQ=DAILY;COUNT=2;UNTIL=20280101"}, "recurrence.rule"),
        *(({"rule": "FREQ=DAILY", "mode": mode}, "recurrence.mode") for mode in ("x", None, 1)),
        ({"rule": "FREQ=DAILY", "more": 1}, "recurrence.more"),
        *((wrong, "recurrence") for wrong in ("FREQ=DAILY", [], 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_bad_recurrence_is_named(write, hers, method, recurrence, field):
    url = write(recurrence=WEEKLY)
    before = hers.get(url).json
    body = {"task": "x", "due_at": DUE, "recurrence": recurrence}
    answer = hers.open(TODOS if method == "POST" else url, method=method, json=body)
    assert (answer.status_code, set(fields_of(answer))) == (422, {field})
    assert hers.get(TODOS).json["items"] == [before]


@pytest.mark.parametrize("due_at", ["0001-01-01T00:00:00Z", "1999-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_what_recurs_is_due_in_our_time(hers, due_at):
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        body = {"task": "x", "due_at": due_at, "recurrence": DAILY, "time_zone": zone}
        answer = hers.post(TODOS, json=body)
        assert (answer.status_code, fields_of(answer)) == (422, ["recurrence.rule"])


def test_a_due_time_for_which_its_rule_never_comes_is_refused(write, hers):
    url = write(recurrence={"rule": "FREQ=YEARLY;BYMONTH=2"}, due_at="2027-02-01T00:00:00Z")
    assert fields_of(hers.patch(url, json={"due_at": "2027-03-30T00:00:00Z"})) == ["recurrence.rule"]


@pytest.mark.parametrize("data", [{"recurrence": DAILY}, {"remind_minutes_before": [5]}], ids=str)
def test_what_recurs_or_is_reminded_of_must_be_due(hers, data):
    assert fields_of(hers.post(TODOS, json={"task": "x"} | data)) == ["due_at"]
    made = hers.post(TODOS, json={"task": "x", "due_at": DUE} | data)
    assert fields_of(hers.patch(made.headers["Location"], json={"due_at": None})) == ["due_at"]
