"""Mornings and nights: digests, quiet hours, and what no preference keeps back. The mail server is real."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app import tasks
from app.events import PasswordChanged, PostPublished, emit
from app.extensions import celery, db
from app.models import Preference
from app.services import digests, outbox, preferences
from app.services.atomic import atomic
from app.services.letters import WORDS
from tests.api.v2.conftest import Clock

# The years are to come: what is emitted is due by the real clock.
BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"
HELD = "SELECT count(*) FROM notifications WHERE held"
ADDRESS = "bob@example.org"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.fixture
def at(monkeypatch):
    """at(instant): that is the present, for all that brings mail."""
    clock = Clock()
    for module in ("digests", "notifications", "outbox"):
        monkeypatch.setattr(f"app.services.{module}.now", clock.now)
    return lambda instant: clock.forward(seconds=(instant - clock.now()).total_seconds())


@pytest.fixture
def bob(make_user):
    return make_user(username="bob")


@pytest.fixture
def prefers(app, bob):
    """prefers(digest="daily" …): what Bob prefers."""

    def write(user=bob, **wishes):
        with app.app_context():
            preferences.change(user, **wishes)

    return write


@pytest.fixture
def perform(app, smtp, setting):
    """perform(): run what is due, and what follows from that."""
    tasks.init_app(app)
    setting(PUBLIC_URL="https://blog.example.org/")

    def due():
        with app.app_context():
            return outbox.claim()

    def run():
        while messages := due():
            for message in messages:
                celery.tasks[message.subscriber].apply(args=[message.id, message.attempts], throw=True)

    return run


@pytest.fixture
def publish(app, make_post, make_user, bob, perform, sql):
    """publish("A title"): Alice, whom Bob follows, publishes, and all is told that is due."""
    alice = make_user(username="alice", email=None)
    sql(
        "INSERT INTO follows (follower_id, followed_id, created_at) VALUES (:b, :a, '2020-01-01')", a=alice.id, b=bob.id
    )

    def write(*titles):
        for title in titles:
            post = make_post(alice, title=title)
            with app.app_context(), atomic():
                emit(PostPublished(post.id))
        perform()

    return write


@pytest.fixture
def morning(perform):
    """morning(): beat asks, and all is done that follows."""

    def ask():
        celery.tasks["send_digests"].apply(throw=True)
        perform()

    return ask


def body(mail, kind="plain"):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


# Digests


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


def test_two_beats_at_once_make_one_digest(app, at, prefers, publish, smtp, sql, perform):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One", "Two")
    at(utc("2042-03-10T08:02"))

    def gather(_):
        with app.app_context():
            return digests.gather()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(gather, range(4)))
    perform()
    assert (sum(made), len(smtp.messages)) == (1, 1)
    assert sql("SELECT count(*), count(DISTINCT event_id) FROM outbox WHERE event = 'DigestDue'") == [(1, 1)]


def test_a_digest_that_is_refused_is_sent_later_and_one_that_was_sent_is_not_sent_again(
    at, prefers, publish, morning, smtp, sql, perform, lapse
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
    perform()
    sql("UPDATE outbox SET done_at = NULL, next_attempt_at = '2020-01-01 00:00:00' WHERE subscriber = 'send_digest'")
    perform()
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


# Quiet hours


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (("22:00", "07:00"), "2042-03-10T23:00", "2042-03-11T07:00"),
        (("22:00", "07:00"), "2042-03-11T06:59", "2042-03-11T07:00"),
        (("22:00", "07:00"), "2042-03-10T22:00", "2042-03-11T07:00"),
        (("22:00", "07:00"), "2042-03-11T07:00", None),
        (("22:00", "07:00"), "2042-03-11T21:59", None),
        (("12:00", "13:00"), "2042-03-11T12:30", "2042-03-11T13:00"),
        (("12:00", "13:00"), "2042-03-11T13:00", None),
        (("00:00", "06:00"), "2042-03-11T00:00", "2042-03-11T06:00"),
        (("22:00", "07:00"), "2042-03-29T23:00", "2042-03-30T07:00"),  # a night of 23 hours
        (("22:00", "07:00"), "2042-10-25T23:00", "2042-10-26T07:00"),  # of 25
        (("22:00", "02:30"), "2042-03-30T01:30", "2042-03-30T03:30"),  # an end that does not come
        (("22:00", "02:30"), "2042-10-26T01:30", "2042-10-26T02:30+01:00"),  # one that comes twice
    ],
)
def test_quiet_hours_end_in_the_users_own_time(hours, now, end):
    preference = Preference(time_zone=BERLIN, quiet_from=hours[0], quiet_until=hours[1])
    ending = end and (datetime.fromisoformat(end) if "+" in end else local(end)).astimezone(UTC)
    assert preferences.quiet_until(preference, local(now).astimezone(UTC)) == ending


def test_the_second_reading_of_a_clock_set_back_is_quiet_until_it_ends():
    preference = Preference(time_zone=BERLIN, quiet_from="22:00", quiet_until="02:30")
    assert preferences.quiet_until(preference, utc("2042-10-26T01:15")) == utc("2042-10-26T01:30")
    assert preferences.quiet_until(preference, utc("2042-10-26T01:30")) is None


def test_a_mail_is_held_over_the_night_and_comes_at_its_end(at, prefers, publish, smtp, perform, sql):
    prefers(time_zone=BERLIN, quiet_hours={"start": "22:00", "end": "07:00"})
    at(local("2042-03-10T23:00"))
    publish("One")
    waiting = "SELECT attempts, last_error FROM outbox WHERE subscriber = 'send_mail' AND done_at IS NULL"
    assert (smtp.messages, sql(waiting)) == ([], [(0, None)]), "held, and that was no attempt"
    at(local("2042-03-11T06:59"))
    perform()
    assert smtp.messages == []
    at(local("2042-03-11T07:00:01"))
    perform()
    assert [mail["Subject"] for mail in smtp.messages] == ["A new post: One"]


def test_many_nights_use_up_no_attempt(at, prefers, publish, smtp, perform, sql):
    prefers(quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-01T23:00"))
    publish("One")
    for day in range(2, 14):
        at(utc(f"2042-03-{day:02}T07:00:01"))
        sql("UPDATE notification_preferences SET quiet_from = '06:00', quiet_until = '05:59'")
        perform()
    assert sql("SELECT attempts, dead_at FROM outbox WHERE subscriber = 'send_mail'") == [(0, None)]


def test_who_waits_for_his_morning_is_not_taken_for_late(at, prefers, publish, app):
    prefers(quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-10T22:00"))
    publish("One")
    for instant, seconds in (("2042-03-11T06:00", 0), ("2042-03-11T07:00:30", 30)):
        at(utc(instant))
        with app.app_context():
            assert outbox.oldest_seconds() == pytest.approx(seconds, abs=5)


def test_a_digest_keeps_quiet_hours_too(at, prefers, publish, morning, smtp, perform):
    prefers(digest="daily", quiet_hours={"start": "22:00", "end": "10:00"})
    at(utc("2042-03-10T07:00"))
    publish("One")
    at(utc("2042-03-10T08:02"))
    morning()
    assert smtp.messages == []
    at(utc("2042-03-10T10:00:01"))
    perform()
    assert len(smtp.messages) == 1


def test_a_warning_comes_at_once_by_night_and_past_every_digest(app, at, prefers, bob, perform, smtp):
    prefers(digest="weekly", quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-10T23:00"))
    with app.app_context(), atomic():
        emit(PasswordChanged(bob.id))
    perform()
    (mail,) = smtp.messages
    assert mail["Subject"] == "Your password was changed"
    assert mail["List-Unsubscribe"] is mail["List-Unsubscribe-Post"] is None
    assert "No more such mails" not in body(mail)


# Letters


def test_a_mail_says_the_same_in_text_and_html_and_how_to_end_it(at, publish, smtp):
    publish("<script>alert(1)</script> & more")
    (mail,) = smtp.messages
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    url = mail["List-Unsubscribe"].strip("<>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = body(mail), body(mail, "html")
    assert text == (
        f"Hello bob,\n\nalice has published «<script>alert(1)</script> & more».\n\n-- \nNo more such mails: {url}\n"
    )
    assert "alice has published «&lt;script&gt;alert(1)&lt;/script&gt; &amp; more»." in html
    assert Counter(re.findall(r"<(script|hr|a href=\"[^\"]*)", html)) == {"hr": 1, f'a href="{url}': 1}


def test_the_link_of_a_mail_ends_such_mails(at, publish, smtp, client):
    publish("One")
    base, slash, path = smtp.messages[0]["List-Unsubscribe"].strip("<>").partition("/api/")
    assert base == "https://blog.example.org"
    assert client.post(slash + path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    publish("Two")
    assert len(smtp.messages) == 1


def test_the_link_of_a_digest_ends_all_but_warnings(at, prefers, publish, morning, smtp, client, sql):
    prefers(digest="daily")
    at(utc("2042-03-10T07:00"))
    publish("One")
    at(utc("2042-03-10T08:02"))
    morning()
    _, slash, path = smtp.messages[0]["List-Unsubscribe"].strip("<>").partition("/api/")
    assert client.post(slash + path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    publish("Two")
    assert sql(HELD) == [(0,)]


def test_without_a_public_address_there_is_no_link(at, publish, smtp, setting):
    setting(PUBLIC_URL=None)
    publish("One")
    (mail,) = smtp.messages
    assert mail["List-Unsubscribe"] is mail["List-Unsubscribe-Post"] is None
    assert body(mail) == "Hello bob,\n\nalice has published «One».\n"


def test_each_kind_that_can_be_told_has_words():
    assert WORDS.keys() == preferences.DEFAULTS.keys()
