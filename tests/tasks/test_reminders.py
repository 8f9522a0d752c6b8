"""Reminders of todos: each is told once for each time at which its todo is due, and none of what is done or moved."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from app import tasks
from app.extensions import celery
from app.models.base import now
from app.services import notifications, reminders, retention

TODOS = "/api/v2/todos"
INBOX = [("alice", "todo_due", "inbox"), ("alice", "todo_due", "mail")]
SUBJECT = ("alice@example.org", "Due: Buy ink")
ROWS = "SELECT u.username, n.kind, n.channel FROM notifications n JOIN users u ON u.id = n.user_id ORDER BY n.id"
NOON = datetime(2027, 3, 27, 12, tzinfo=UTC)  # the day before the clocks of Berlin are put forward


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """clock(time): that is the present; it begins at NOON."""

    def set_to(time: datetime) -> None:
        for module in ("todos", "reminders"):
            monkeypatch.setattr(f"app.services.{module}.now", lambda: time)

    set_to(NOON)
    return set_to


@pytest.fixture
def perform(app, sql):
    """perform(): run what is due, and what follows from that."""
    tasks.init_app(app)

    def run() -> None:
        while due := sql("SELECT id, subscriber FROM outbox WHERE attempts = 0 ORDER BY id"):
            for id, subscriber in due:
                celery.tasks[subscriber].apply(args=[id, 0], throw=True)

    return run


@pytest.fixture
def letters(monkeypatch):
    """The (address, subject, text) of each mail that went out."""
    sent = []
    monkeypatch.setattr("app.services.mail.send", lambda *given: sent.append(given[:3]))
    return sent


@pytest.fixture
def remind(app):
    """remind(): as beat asks."""
    tasks.init_app(app)
    return lambda: celery.tasks["remind"].apply(throw=True)


@pytest.fixture
def told(remind, perform, letters, sql):
    """told(): what people were told of in all, once beat has asked and all is delivered."""

    def rows() -> list[tuple[str, str, str]]:
        remind()
        perform()
        assert sql("SELECT count(*) FROM outbox WHERE done_at IS NULL OR last_error IS NOT NULL") == [(0,)]
        return [tuple(row) for row in sql(ROWS)]

    return rows


@pytest.fixture
def alice(make_user):
    return make_user(username="alice", email="alice@example.org")


@pytest.fixture
def hers(alice, as_user):
    return as_user(alice, "v2")


def in_minutes(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def later(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def write(hers):
    """write(field=value …): the address of a todo that is due in an hour, to be reminded of then."""

    def send(**data):
        answer = hers.post(
            TODOS, json={"task": "Buy ink", "due_at": in_minutes(60), "remind_minutes_before": [0]} | data
        )
        assert answer.status_code == 201, answer.json
        return f"{TODOS}/{answer.json['id']}"

    return send


@pytest.fixture
def change(hers):
    """change(address, field=value …): the todo after it."""

    def send(url, **data):
        answer = hers.patch(url, json=data)
        assert answer.status_code == 200, answer.json
        return answer.json

    return send


def test_a_user_is_reminded_in_the_inbox_and_by_mail_when_it_is_time(write, clock, told, hers, letters):
    url = write(time_zone="Europe/Berlin", remind_minutes_before=[10])
    clock(later(49.9))
    assert told() == []
    clock(later(50))
    assert told() == INBOX
    (item,) = hers.get("/api/v2/notifications").json["items"]
    assert (item["kind"], f"{TODOS}/{item['todo_id']}", item["post"]) == ("todo_due", url, None)
    (letter,) = letters
    assert letter[:2] == SUBJECT
    assert "2027-03-27 14:00 (Europe/Berlin)" in letter[2]


def test_a_reminders_mail_waits_for_no_digest(write, clock, told, hers, letters):
    assert hers.patch("/api/v2/notifications/preferences", json={"digest": "weekly"}).status_code == 200
    write()
    clock(later(60))
    told()
    assert [letter[:2] for letter in letters] == [SUBJECT]


def test_each_of_several_reminders_is_told_at_its_time(write, clock, told):
    write(remind_minutes_before=[0, 10, 30])
    numbers = []
    for minutes in (29, 30, 31, 50, 59, 60, 90):
        clock(later(minutes))
        numbers.append(len(told()) // 2)
    assert numbers == [0, 1, 1, 2, 2, 3, 3]


def test_beat_that_asks_twice_has_it_told_once(write, clock, remind, told, sql):
    write()
    clock(later(60))
    remind()
    remind()
    assert sql("SELECT count(*) FROM outbox") == [(1,)]
    assert told() == INBOX


def test_many_who_ask_at_once_take_each_reminder_once(app, write, clock, sql, monkeypatch):
    monkeypatch.setattr(reminders, "AT_ONCE", 3)
    for _ in range(12):
        write()
    clock(later(60))
    barrier = Barrier(4)

    def ask(_) -> int:
        with app.app_context():
            barrier.wait()
            return reminders.tell()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(4))) == 12
    assert sql("SELECT count(*), count(DISTINCT event_id) FROM outbox") == [(12, 12)]


def test_a_reminder_is_stamped_exactly_if_it_is_handed_over(write, clock, remind, told, sql, monkeypatch):
    write()
    clock(later(60))

    def fail(*events, **_):
        raise RuntimeError("the worker dies")

    with monkeypatch.context() as broken:
        broken.setattr(reminders, "emit", fail)
        with pytest.raises(RuntimeError):
            remind()
    assert sql("SELECT told_at FROM todo_reminders") == [(None,)]
    assert told() == INBOX


def test_a_message_that_is_delivered_twice_reminds_once(app, write, clock, told, sql):
    write()
    clock(later(60))
    told()
    ((event_id, todo_id, reminder_id),) = sql(
        "SELECT o.event_id, r.todo_id, r.id FROM outbox o, todo_reminders r WHERE o.event = 'TodoDue'"
    )
    with app.app_context():
        notifications.notify_of_todo(event_id, todo_id, reminder_id)
    assert told() == INBOX


def test_beat_that_was_away_tells_it_late(write, clock, told):
    write()
    clock(later(60 * 24))
    assert told() == INBOX


def test_clocks_that_are_put_back_tell_nothing_again(write, change, clock, told, sql):
    url = write()
    clock(later(60))
    assert told() == INBOX
    clock(later(30))
    change(url, task="Buy ink")
    change(url, remind_minutes_before=[1])
    change(url, remind_minutes_before=[0])
    assert told() == INBOX
    clock(later(60))
    assert told() == INBOX
    assert sql("SELECT count(*) FROM outbox WHERE event = 'TodoDue'") == [(1,)]


def test_what_was_told_is_not_told_again_where_its_row_is_gone(write, change, clock, told, sql):
    url = write()
    clock(later(60))
    told()
    sql("DELETE FROM todo_reminders")
    clock(later(30))
    change(url, task="Buy paper")
    clock(later(60))
    assert told() == INBOX
    assert sql("SELECT count(*) FROM outbox WHERE event = 'TodoDue'") == [(2,)]


def test_a_change_just_before_beat_asks_loses_nothing(write, change, clock, told):
    url = write()
    clock(later(60.5))
    change(url, task="Buy paper", priority=1)
    assert told() == INBOX


def test_what_would_have_been_told_before_now_is_not(write, clock, told):
    write(due_at=in_minutes(-1))
    write(due_at=in_minutes(5), remind_minutes_before=[10])
    write(due_at="0001-01-01T00:00:00Z", remind_minutes_before=[40320])
    clock(later(4))
    assert told() == []


@pytest.mark.parametrize(
    "change_of",
    [
        *({"done": True}, {"due_at": in_minutes(120)}, {"remind_minutes_before": []}),
        {"due_at": None, "remind_minutes_before": []},
    ],
    ids=str,
)
def test_what_is_done_or_moved_is_not_reminded_of(write, change, clock, told, change_of):
    change(write(), **change_of)
    clock(later(60))
    assert told() == []


@pytest.mark.parametrize("change_of", [{"done": True}, {"due_at": in_minutes(120)}], ids=str)
def test_nor_is_it_where_the_message_is_under_way_already(write, change, clock, remind, perform, told, change_of):
    url = write()
    clock(later(60))
    remind()
    change(url, **change_of)
    assert told() == []


@pytest.mark.parametrize("change_of", [{"done": True}, {"due_at": in_minutes(120)}], ids=str)
def test_nor_does_a_mail_go_out_that_waits(write, change, clock, remind, perform, sql, letters, change_of):
    url = write()
    clock(later(60))
    remind()
    ((id,),) = sql("SELECT id FROM outbox")
    celery.tasks["notify_of_todo"].apply(args=[id, 0], throw=True)
    assert sql("SELECT subscriber FROM outbox WHERE attempts = 0") == [("send_mail",)]
    change(url, **change_of)
    perform()
    assert letters == []


def test_what_is_moved_is_told_at_its_new_time(write, change, clock, told):
    change(write(), due_at=in_minutes(120))
    clock(later(120))
    assert told() == INBOX


def test_what_was_told_and_is_moved_later_is_told_again_then(write, change, clock, told):
    url = write()
    clock(later(60))
    told()
    change(url, due_at=in_minutes(120))
    assert told() == INBOX
    clock(later(120))
    assert told() == INBOX * 2


def test_what_is_opened_again_is_reminded_of(write, change, clock, told):
    url = write()
    change(url, done=True)
    change(url, done=False)
    clock(later(60))
    assert told() == INBOX


def test_subtasks_that_begin_anew_are_reminded_of(write, change, clock, told):
    parent = write(remind_minutes_before=[], recurrence={"rule": "FREQ=DAILY"})
    change(write(parent_id=int(parent.rpartition("/")[2])), done=True)
    change(parent, done=True)
    clock(later(60))
    assert told() == INBOX


def test_subtasks_that_their_parent_has_closed_are_not_reminded_of(write, change, clock, told, sql):
    parent = write(remind_minutes_before=[])
    write(parent_id=int(parent.rpartition("/")[2]))
    change(parent, done=True)
    clock(later(60))
    assert told() == []
    assert sql("SELECT count(*) FROM todo_reminders") == [(0,)]


def test_v1_moves_and_ends_reminders_too(write, as_user, alice, clock, told):
    old = as_user(alice)
    moved, done = write(), write()
    assert old.put(moved.replace("v2", "v1"), json={"due_at": in_minutes(90)}).status_code == 200
    assert old.put(done.replace("v2", "v1"), json={"done": True}).status_code == 200
    clock(later(60))
    assert told() == []
    clock(later(90))
    assert told() == INBOX


def test_what_recurs_is_told_once_for_each_date_across_a_change_of_the_clocks(write, change, clock, told, sql):
    """08:00 in Berlin is 07:00 UTC on the 27th and 06:00 from the 28th on."""
    day = datetime(2027, 3, 27, tzinfo=UTC)
    clock(day)
    about = {"time_zone": "Europe/Berlin", "recurrence": {"rule": "FREQ=DAILY"}, "remind_minutes_before": [30]}
    url, seen = write(due_at="2027-03-27T07:00:00Z", **about), []
    for days in range(4):
        for hour in (5, 6, 7, 8):
            for minute in (0, 30):
                clock(at := day + timedelta(days=days, hours=hour, minutes=minute))
                seen += [f"{at:%d %H:%M}"] * (len(told()) // 2 - len(seen))
                if hour == 8 and minute == 0:
                    change(url, done=True)
    assert seen == ["27 06:30", "28 05:30", "29 05:30", "30 05:30"]


def test_what_is_deleted_takes_its_reminders_and_its_place_in_the_inbox_with_it(write, hers, clock, remind, told, sql):
    gone, going = write(), write()
    clock(later(60))
    remind()
    assert hers.delete(gone).status_code == 204
    assert told() == INBOX
    assert len(hers.get("/api/v2/notifications").json["items"]) == 1
    assert hers.delete(going).status_code == 204
    assert hers.get("/api/v2/notifications").json["items"] == []
    assert sql("SELECT count(*) FROM todo_reminders") == [(0,)]


def test_whose_account_is_shut_is_told_nothing(write, clock, told, sql):
    write()
    sql("UPDATE users SET disabled_at = '2026-01-01'")
    clock(later(60))
    assert told() == []


def test_nobody_is_reminded_of_anothers_todo(write, make_user, clock, told, as_user):
    write()
    root = as_user(make_user(username="root", role="admin"), "v2")
    clock(later(60))
    assert told() == INBOX
    assert root.get("/api/v2/notifications").json["items"] == []


def test_what_was_told_is_kept_for_a_week(app, write, clock, told, sql):
    write()
    write(due_at="2028-01-01T00:00:00Z")
    clock(later(60))
    told()
    for age, left in ((timedelta(days=6), 2), (timedelta(days=8), 1)):
        sql("UPDATE todo_reminders SET told_at = :at WHERE told_at IS NOT NULL", at=f"{now() - age:%Y-%m-%d %H:%M:%S}")
        with app.app_context():
            retention.prune()
        assert sql("SELECT count(*) FROM todo_reminders") == [(left,)]


def test_beat_asks_every_minute_and_no_question_outlives_the_next():
    entry = celery.conf.beat_schedule["remind"]
    assert entry["schedule"].minute == set(range(60))
    assert 0 < entry["options"]["expires"] <= 60
