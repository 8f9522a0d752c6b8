"""Quiet hours, what no preference keeps back, and what the mails say. The mail server is real."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from app.events import PasswordChanged, emit
from app.models import Preference, Todo, User
from app.services import notifications, outbox, preferences
from app.services.atomic import atomic
from app.services.letters import WORDS
from tests.tasks.conftest import BERLIN, body, local, utc

HELD = "SELECT count(*) FROM notifications WHERE held"


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


def test_a_mail_is_held_over_the_night_and_comes_at_its_end(at, prefers, publish, smtp, bring, sql):
    prefers(time_zone=BERLIN, quiet_hours={"start": "22:00", "end": "07:00"})
    at(local("2042-03-10T23:00"))
    publish("One")
    waiting = "SELECT attempts, last_error FROM outbox WHERE subscriber = 'send_mail' AND done_at IS NULL"
    assert (smtp.messages, sql(waiting)) == ([], [(0, None)]), "held, and that was no attempt"
    at(local("2042-03-11T06:59"))
    bring()
    assert smtp.messages == []
    at(local("2042-03-11T07:00:01"))
    bring()
    assert [mail["Subject"] for mail in smtp.messages] == ["A new post: One"]


def test_quiet_hours_of_a_time_zone_that_is_not_known_any_more_are_utcs(at, prefers, publish, smtp, bring, sql):
    prefers(quiet_hours={"start": "22:00", "end": "07:00"})
    sql("UPDATE notification_preferences SET time_zone = 'Mars/Olympus'")
    at(utc("2042-03-10T23:00"))
    publish("One")
    assert smtp.messages == []
    at(utc("2042-03-11T07:00:01"))
    bring()
    assert len(smtp.messages) == 1


def test_a_reminder_in_a_time_zone_that_is_not_known_any_more_says_utc():
    todo = Todo(task="Buy ink", due_at=utc("2042-03-10T12:00"), time_zone="Mars/Olympus")
    assert notifications.words(User(username="bob"), None, None, None, todo)["due"] == "2042-03-10 12:00 (UTC)"


def test_many_nights_use_up_no_attempt(at, prefers, publish, smtp, bring, sql):
    prefers(quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-01T23:00"))
    publish("One")
    for day in range(2, 14):
        at(utc(f"2042-03-{day:02}T07:00:01"))
        sql("UPDATE notification_preferences SET quiet_from = '06:00', quiet_until = '05:59'")
        bring()
    assert sql("SELECT attempts, dead_at FROM outbox WHERE subscriber = 'send_mail'") == [(0, None)]


def test_who_waits_for_his_morning_is_not_taken_for_late(at, prefers, publish, app):
    prefers(quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-10T22:00"))
    publish("One")
    for instant, seconds in (("2042-03-11T06:00", 0), ("2042-03-11T07:00:30", 30)):
        at(utc(instant))
        with app.app_context():
            assert outbox.oldest_seconds() == pytest.approx(seconds, abs=5)


def test_a_digest_keeps_quiet_hours_too(at, prefers, publish, morning, smtp, bring):
    prefers(digest="daily", quiet_hours={"start": "22:00", "end": "10:00"})
    at(utc("2042-03-10T07:00"))
    publish("One")
    at(utc("2042-03-10T08:02"))
    morning()
    assert smtp.messages == []
    at(utc("2042-03-10T10:00:01"))
    bring()
    assert len(smtp.messages) == 1


def test_a_warning_comes_at_once_by_night_and_past_every_digest(app, at, prefers, bob, bring, smtp):
    prefers(digest="weekly", quiet_hours={"start": "22:00", "end": "07:00"})
    at(utc("2042-03-10T23:00"))
    with app.app_context(), atomic():
        emit(PasswordChanged(bob.id))
    bring()
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
