"""Digests: what waits for a user's morning comes in one mail, once. The mail server is real."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.extensions import db
from app.models import Preference
from app.services import digests
from app.services.atomic import atomic
from tests.tasks.conftest import BERLIN, TOKYO, body, local, utc

HELD = "SELECT count(*) FROM notifications WHERE held"
ADDRESS = "bob@example.org"


def test_a_daily_digest_comes_once_at_eight_of_the_users_own_time(at, prefers, publish, morning, smtp):
    prefers(digest="daily", time_zone=TOKYO)
    at(local("2042-03-10T21:00", TOKYO))
    publish("One", "Two")
    assert smtp.messages == []
    at(local("2042-03-11T07:59", TOKYO))
    morning()
    assert smtp.messages == []
    at(local("2042-03-11T08:02", TOKYO))
    for _ in "twice":
        morning()
    (mail,) = smtp.to(ADDRESS)
    assert mail["Subject"] == "2 notifications"
    assert "alice has published «One».\n- alice has published «Two».\n" in body(mail)
    at(local("2042-03-12T08:02", TOKYO))
    morning()
    assert len(smtp.messages) == 1, "nothing waits: no mail"


def test_what_comes_after_the_morning_waits_for_the_next_one(at, prefers, publish, morning, smtp, sql):
    prefers(digest="daily")
    at(utc("2042-03-10T08:30"))
    publish("Late")
    at(utc("2042-03-10T09:02"))
    morning()
    assert (smtp.messages, sql(HELD)) == ([], [(1,)])
    at(utc("2042-03-11T08:02"))
    morning()
    assert [mail["Subject"] for mail in smtp.messages] == ["alice has published «Late»."]


def test_a_weekly_digest_comes_on_monday(at, prefers, publish, morning, smtp):
    prefers(digest="weekly", time_zone=BERLIN)
    at(local("2042-03-11T12:00"))  # a Tuesday
    publish("One")
    for day in ("12", "13", "14", "15", "16"):
        at(local(f"2042-03-{day}T08:02"))
        morning()
    assert smtp.messages == []
    at(local("2042-03-17T08:02"))
    morning()
    assert len(smtp.messages) == 1


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "localtime"])
def test_a_time_zone_that_is_not_known_any_more_means_utc_and_stops_nobody(
    at, prefers, publish, morning, smtp, make_user, as_user, sql, zone
):
    """A restore on another machine, or the tz database has dropped it."""
    carol = make_user(username="carol")
    as_user(carol, "v2").patch("/api/v2/notifications/preferences", json={"digest": "daily", "time_zone": TOKYO})
    prefers(digest="daily")
    at(utc("2042-03-10T22:00"))
    sql(
        "INSERT INTO follows (follower_id, followed_id, created_at) "
        "SELECT f.id, a.id, f.created_at FROM users f, users a WHERE f.username = 'carol' AND a.username = 'alice'"
    )
    publish("One")
    sql("UPDATE notification_preferences SET time_zone = :zone WHERE time_zone = 'UTC'", zone=zone)
    at(utc("2042-03-11T07:59"))
    morning()
    assert [mail["To"] for mail in smtp.messages] == ["carol@example.org"]
    at(utc("2042-03-11T08:02"))
    morning()
    assert [mail["To"] for mail in smtp.messages] == ["carol@example.org", ADDRESS]


def test_the_inbox_is_told_at_once(at, prefers, publish, inbox):
    prefers(digest="weekly")
    publish("One")
    assert ("bob", "new_post") in inbox()


@pytest.mark.parametrize("change", ["2042-03-30", "2042-10-26"])
def test_where_clocks_are_changed_there_is_one_digest_that_day_and_it_comes_at_eight(
    at, prefers, publish, morning, smtp, change
):
    """Forward and back: that night has 23 and 25 hours."""
    prefers(digest="daily", time_zone=BERLIN)
    day = date.fromisoformat(change)
    before = local(f"{change}T00:30")
    at(before)
    publish("In the night")
    first = None
    for hour in range(40):  # beat asks each hour, by UTC
        instant = datetime.fromtimestamp(before.timestamp() + 3600 * hour, UTC)
        at(instant)
        morning()
        if smtp.messages and first is None:
            first = instant.astimezone(ZoneInfo(BERLIN))
            publish("Later that day")
    assert (first.date(), first.hour) == (day, 8)
    assert [len(smtp.messages), smtp.messages[1]["Subject"]] == [2, "alice has published «Later that day»."]


def test_who_moves_to_where_the_day_is_not_over_gets_no_second_digest_of_it(at, prefers, publish, morning, smtp):
    prefers(digest="daily", time_zone=TOKYO)
    at(local("2042-03-11T07:00", TOKYO))
    publish("One")
    at(local("2042-03-11T09:00", TOKYO))
    morning()
    prefers(time_zone="Pacific/Honolulu")
    publish("Two")
    at(local("2042-03-11T09:00", "Pacific/Honolulu"))
    morning()
    assert len(smtp.messages) == 1
    at(local("2042-03-12T09:00", "Pacific/Honolulu"))
    morning()
    assert len(smtp.messages) == 2


def test_two_beats_at_once_make_one_digest(app, at, prefers, publish, smtp, sql, bring):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One", "Two")
    at(utc("2042-03-10T08:02"))

    def gather(_):
        with app.app_context():
            return digests.gather()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(gather, range(4)))
    bring()
    assert (sum(made), len(smtp.messages)) == (1, 1)
    assert sql("SELECT count(*), count(DISTINCT event_id) FROM outbox WHERE event = 'DigestDue'") == [(1, 1)]


def test_a_digest_that_is_refused_is_sent_later_and_one_that_was_sent_is_not_sent_again(
    at, prefers, publish, morning, smtp, sql, bring, lapse
):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One")
    at(utc("2042-03-10T08:02"))
    smtp.refused.add(ADDRESS)
    morning()
    assert smtp.messages == []
    smtp.refused.clear()
    lapse()
    bring()
    sql("UPDATE outbox SET done_at = NULL, next_attempt_at = '2020-01-01 00:00:00' WHERE subscriber = 'send_digest'")
    bring()
    assert sql("SELECT attempts, done_at IS NOT NULL FROM outbox WHERE subscriber = 'send_digest'") == [(3, True)]
    (mail,) = smtp.messages
    assert re.fullmatch(r"<digest\.\d+\.[0-9a-f]{32}@localhost\.localdomain>", mail["Message-ID"])


def test_all_whose_morning_has_come_are_gathered_with_few_statements(app, at, make_user, make_post, count_queries, sql):
    """However many: by zone and rhythm."""
    alice = make_user(username="alice", email=None)
    post = make_post(alice)
    counts = []
    for number in (2, 20):
        fans = [make_user() for _ in range(number)]
        with app.app_context(), atomic():
            for fan in fans:
                db.session.add(Preference(user_id=fan.id, digest="daily"))
        for fan in fans:
            held = "INSERT INTO notifications (event_id, user_id, channel, kind, post_id, created_at, held)"
            sql(f"{held} VALUES ('e', :id, 'mail', 'new_post', :post, '2042-03-10', true)", id=fan.id, post=post.id)
        at(utc(f"2042-03-{10 + number}T08:02"))
        with app.app_context(), count_queries() as statements:
            assert digests.gather() == number
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 5


def test_many_are_gathered_in_steps(app, at, make_user, sql, monkeypatch):
    monkeypatch.setattr(digests, "AT_ONCE", 2)
    for n in range(5):
        held = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at, held)"
        sql(f"{held} VALUES ('e{n}', :id, 'mail', 'welcome', '2042-03-10', true)", id=make_user().id)
    at(utc("2042-03-11T08:02"))
    with app.app_context():
        assert digests.gather() == 5
    assert sql(HELD) == [(0,)]
    assert sql("SELECT count(DISTINCT digest_id) FROM notifications") == [(5,)]


def test_whose_digest_of_the_day_is_made_keeps_nobody_else_waiting(app, at, make_user, sql, monkeypatch):
    """What was told before the morning and committed after it waits for the next one."""
    monkeypatch.setattr(digests, "AT_ONCE", 1)
    held = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at, held)"
    for n in range(2):
        user = make_user()
        sql(f"{held} VALUES ('e{n}', :id, 'mail', 'welcome', '2042-03-10', true)", id=user.id)
        if n == 0:
            made = "INSERT INTO digests (user_id, day, created_at) VALUES (:id, '2042-03-11', '2042-03-11')"
            sql(made, id=user.id)
    at(utc("2042-03-11T08:02"))
    with app.app_context():
        assert digests.gather() == 1
    assert sql(HELD) == [(1,)]
    at(utc("2042-03-12T08:02"))
    with app.app_context():
        assert digests.gather() == 1


def test_who_wants_no_digest_any_more_gets_what_waits_the_next_morning(at, prefers, publish, morning, smtp):
    prefers(digest="weekly")
    at(utc("2042-03-10T12:00"))
    publish("One")
    prefers(digest="immediately")
    publish("Two")
    assert [mail["Subject"] for mail in smtp.messages] == ["A new post: Two"]
    at(utc("2042-03-11T08:02"))
    morning()
    assert [mail["Subject"] for mail in smtp.messages[1:]] == ["alice has published «One»."]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET email = NULL WHERE username = 'bob'",
        "UPDATE users SET deleted_at = created_at, username_key = NULL WHERE username = 'bob'",
        "UPDATE users SET disabled_at = created_at WHERE username = 'bob'",
        "UPDATE posts SET deleted_at = created_at",
        "INSERT INTO notification_switches (user_id, kind, channel, wanted) "
        "SELECT id, 'new_post', 'mail', false FROM users WHERE username = 'bob'",
        "INSERT INTO notification_mutes (user_id, author_id, created_at) "
        "SELECT b.id, a.id, a.created_at FROM users a, users b WHERE a.username = 'alice' AND b.username = 'bob'",
    ],
)
def test_what_is_not_wanted_any_more_by_the_morning_is_not_sent(at, prefers, publish, morning, smtp, sql, change):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One", "Two")
    sql(change)
    at(utc("2042-03-10T08:02"))
    morning()
    assert smtp.messages == []
    assert sql("SELECT count(*) FROM outbox WHERE done_at IS NULL OR last_error IS NOT NULL") == [(0,)]


def test_a_digest_lists_no_more_than_a_person_reads(at, prefers, publish, morning, smtp, monkeypatch):
    monkeypatch.setattr("app.services.letters.MOST_LISTED", 2)
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One", "Two", "Three")
    at(utc("2042-03-10T08:02"))
    morning()
    (mail,) = smtp.messages
    assert (mail["Subject"], body(mail).count("«")) == ("3 notifications", 2)
    assert "… and 1 more" in body(mail)
    assert "… and 1 more" in body(mail, "html")


def test_a_digest_of_many_takes_the_statements_of_one_of_few(at, morning, smtp, sql, bob, count_queries):
    """To the letter: a statement with each id in it would be refused where they are 65,536."""
    held = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at, held)"
    taken = []
    for day, number in ((11, 2), (12, 300)):
        many = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
        sql(
            f"{held} {many} SELECT '{day}.' || i, :bob, 'mail', 'welcome', '2042-03-{day - 1}', true FROM n", bob=bob.id
        )
        at(utc(f"2042-03-{day}T08:02"))
        with count_queries() as statements:
            morning()
        taken.append(statements)
    assert taken[0] == taken[1]
    assert [mail["Subject"] for mail in smtp.messages] == ["2 notifications", "300 notifications"]
    assert (body(smtp.messages[1]).count("is ready"), "… and 200 more" in body(smtp.messages[1])) == (100, True)
    assert sql("SELECT count(*) FROM notifications WHERE sent_at IS NULL") == [(0,)]


def test_of_two_authors_the_one_who_was_muted_since_is_left_out(
    at, prefers, publish, morning, smtp, make_user, make_post, sql, bob
):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    carol = make_user(username="carol", email=None)
    post = make_post(carol, title="Two")
    held = "INSERT INTO notifications (event_id, user_id, channel, kind, post_id, created_at, held)"
    sql(f"{held} VALUES ('e', :bob, 'mail', 'new_post', :post, '2042-03-10', true)", bob=bob.id, post=post.id)
    publish("One")
    mute = "INSERT INTO notification_mutes (user_id, author_id, created_at) VALUES (:bob, :carol, '2020-01-01')"
    sql(mute, bob=bob.id, carol=carol.id)
    at(utc("2042-03-10T08:02"))
    morning()
    assert [mail["Subject"] for mail in smtp.messages] == ["alice has published «One»."]


def test_a_digest_names_no_follower_who_is_gone_by_the_morning(
    at, prefers, publish, morning, smtp, bob, make_user, as_user
):
    prefers(digest="daily", events={"new_follower": {"mail": True}})
    at(utc("2042-03-10T07:00"))
    carol = make_user(username="carol")
    assert as_user(carol, "v2").put(f"/api/v2/users/{bob.id}/follow").status_code == 204
    publish("One")
    root = as_user(make_user(username="root", role="admin"))
    assert root.delete(f"/api/v1/users/{carol.id}").status_code == 200
    at(utc("2042-03-10T08:02"))
    morning()
    assert [mail["Subject"] for mail in smtp.to(ADDRESS)] == ["alice has published «One»."]
