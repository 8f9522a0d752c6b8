"""When a todo comes again: RFC 5545 by dates, in the time that a zone's clocks show; nothing hangs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.services import recurrence
from app.services.recurrence import AFTER_COMPLETION, FIXED

BERLIN = "Europe/Berlin"


def shown(text: str) -> datetime:
    return datetime.fromisoformat(text)


def after(rule, start, now, mode=FIXED, zone="UTC"):
    """What the clocks show at the next occurrence, once the one at `start` is done `now`."""
    found = recurrence.following(rule, mode, zone, shown(start), shown(now).replace(tzinfo=UTC))
    return found and f"{found[1]:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("rule", "start", "now", "expected"),
    [
        ("FREQ=DAILY", "2026-11-21 08:00", "2026-11-21T09:00", "2026-11-22 08:00"),
        ("FREQ=DAILY", "2026-11-21 08:00", "2026-11-25T07:00", "2026-11-25 08:00"),
        ("FREQ=DAILY", "2026-11-21 08:00", "2026-11-25T08:00", "2026-11-26 08:00"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-11-23 08:00", "2026-11-23T09:00", "2026-11-30 08:00"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", "2026-11-23 08:00", "2026-11-25T09:00", "2026-12-07 08:00"),
        ("FREQ=MONTHLY", "2027-01-31 08:00", "2027-02-01T00:00", "2027-03-31 08:00"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-31 08:00", "2027-02-01T00:00", "2027-02-28 08:00"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-11-30 08:00", "2026-12-01T00:00", "2026-12-31 08:00"),
        ("FREQ=YEARLY", "2028-02-29 08:00", "2028-03-01T00:00", "2032-02-29 08:00"),
        ("FREQ=YEARLY", "2096-02-29 08:00", "2096-03-01T00:00", "2104-02-29 08:00"),
        ("FREQ=YEARLY;BYDAY=4TH;BYMONTH=11", "2026-11-26 08:00", "2026-11-27T00:00", "2027-11-25 08:00"),
        ("FREQ=DAILY;UNTIL=20261122", "2026-11-21 08:00", "2026-11-21T09:00", "2026-11-22 08:00"),
        ("FREQ=DAILY;UNTIL=20261121", "2026-11-21 08:00", "2026-11-21T09:00", None),
        ("FREQ=DAILY;UNTIL=20261122T080000", "2026-11-21 08:00", "2026-11-21T09:00", "2026-11-22 08:00"),
        ("FREQ=DAILY;UNTIL=20261122T075959", "2026-11-21 08:00", "2026-11-21T09:00", None),
    ],
)
def test_a_fixed_series_goes_on_with_the_first_date_after_now(rule, start, now, expected):
    assert after(rule, start, now) == expected


def test_what_is_done_before_it_is_due_goes_on_after_that():
    assert after("FREQ=WEEKLY;BYDAY=MO", "2026-11-23 08:00", "2026-11-21T09:00") == "2026-11-30 08:00"


@pytest.mark.parametrize(
    ("rule", "now", "expected"),
    [
        ("FREQ=DAILY;INTERVAL=3", "2026-11-27T22:00", "2026-11-30 08:00"),
        ("FREQ=DAILY;INTERVAL=3", "2026-11-27T06:00", "2026-11-30 08:00"),
        ("FREQ=DAILY;INTERVAL=3", "2026-11-20T06:00", "2026-11-23 08:00"),
        ("FREQ=WEEKLY", "2026-11-27T22:00", "2026-12-04 08:00"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-11-27T22:00", "2026-11-30 08:00"),
    ],
)
def test_after_completion_it_is_reckoned_from_the_day_on_which_it_is_done(rule, now, expected):
    assert after(rule, "2026-11-21 08:00", now, AFTER_COMPLETION) == expected


def test_the_day_on_which_it_is_done_is_that_of_its_zone():
    late = "2026-11-21T23:30"  # in Berlin it is tomorrow
    assert after("FREQ=DAILY", "2026-11-21 08:00", late, AFTER_COMPLETION, BERLIN) == "2026-11-23 08:00"


@pytest.mark.parametrize(
    ("start", "instants"),
    [
        ("2027-03-27 08:00", ["2027-03-27T07:00Z", "2027-03-28T06:00Z"]),
        ("2027-10-30 08:00", ["2027-10-30T06:00Z", "2027-10-31T07:00Z"]),
        ("2027-03-27 02:30", ["2027-03-27T01:30Z", "2027-03-28T01:30Z"]),  # 02:30 is skipped: 03:30 in summer time
        ("2027-10-30 02:30", ["2027-10-30T00:30Z", "2027-10-31T00:30Z"]),  # 02:30 is twice: the first
    ],
)
def test_the_clocks_show_the_same_on_both_sides_of_a_change(start, instants):
    start = shown(start)
    _, then = recurrence.following("FREQ=DAILY", FIXED, BERLIN, start, recurrence.instant(start, BERLIN))
    told = [f"{recurrence.instant(at, BERLIN):%Y-%m-%dT%H:%MZ}" for at in (start, then)]
    assert told == instants
    assert then.time() == start.time(), "the day after is not reckoned from the hour that was skipped"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Pacific/Apia", "America/New_York"])
def test_an_until_in_utc_ends_it_at_that_instant(zone):
    done, second = recurrence.instant(shown("2026-11-21 08:00"), zone), timedelta(seconds=1)
    last = done + timedelta(days=1)
    for until, expected in ((last, "2026-11-22 08:00"), (last - second, None)):
        rule = f"FREQ=DAILY;UNTIL={until:%Y%m%dT%H%M%SZ}"
        assert after(rule, "2026-11-21 08:00", f"{done:%Y-%m-%dT%H:%M}", zone=zone) == expected


@pytest.mark.parametrize(
    "rule",
    [
        *("", "DAILY", "FREQ=", "FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY", "BYDAY=MO", "FREQ=DAILY;"),
        *("FREQ=DAILY;COUNT=3;UNTIL=20270101", "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;INTERVAL=0"),
        *("FREQ=DAILY;INTERVAL=1000", "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=10000"),
        *("FREQ=DAILY;UNTIL=20270231", "FREQ=DAILY;UNTIL=00000000", "FREQ=DAILY;UNTIL=20270101T250000Z"),
        *("FREQ=DAILY;UNTIL=soon", "FREQ=DAILY;UNTIL=2027-01-01", "FREQ=DAILY;BYHOUR=9", "FREQ=DAILY;BYMINUTE=1"),
        *("FREQ=DAILY;BYSECOND=1", "FREQ=YEARLY;BYEASTER=0", "FREQ=DAILY;X-OURS=1", "FREQ=DAILY;BYDAY=1MO"),
        *("FREQ=WEEKLY;BYDAY=MO,", "FREQ=WEEKLY;BYDAY=XX", "FREQ=WEEKLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYMONTHDAY=0"),
        *("FREQ=MONTHLY;BYMONTHDAY=32", "FREQ=MONTHLY;BYYEARDAY=1", "FREQ=DAILY;BYWEEKNO=1", "FREQ=YEARLY;BYMONTH=13"),
        *("FREQ=YEARLY;BYYEARDAY=367", "FREQ=YEARLY;BYWEEKNO=54", "FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO"),
        *("FREQ=MONTHLY;BYSETPOS=1", "RRULE:FREQ=DAILY", "FREQ=DAILY\nEXDATE:20270101", "FREQ=DAILY;BYMONTH=１"),
    ],
    ids=ascii,
)
def test_what_is_no_rule_or_none_that_we_take_is_refused(rule):
    with pytest.raises(ValueError):
        recurrence.parsed(rule)


@pytest.mark.parametrize(
    "rule",
    [
        *("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
        *(
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=-30",
            "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
            "FREQ=WEEKLY;BYMONTH=2;BYDAY=MO;BYSETPOS=3",
        ),
        *("FREQ=YEARLY;BYWEEKNO=1;BYMONTH=6", "FREQ=YEARLY;BYYEARDAY=1;BYMONTH=6", "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2"),
        "FREQ=DAILY;INTERVAL=999;BYMONTH=2;BYMONTHDAY=30",
    ],
)
@pytest.mark.parametrize("year", [2000, 2026, 2200])
def test_a_rule_that_never_comes_is_known_for_one_soon(rule, year):
    began = time.process_time()
    assert not recurrence.ever_follows(rule, datetime(year, 1, 29, 8))
    assert time.process_time() - began < 2


def test_the_rarest_dates_are_found():
    friday_the_29th = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=FR"
    assert recurrence.ever_follows(friday_the_29th, shown("2200-01-01 08:00"))
    assert after(friday_the_29th, "2026-01-01 08:00", "2026-01-02T00:00") == "2036-02-29 08:00"


def test_what_nobody_did_for_decades_goes_on_at_once():
    began = time.process_time()
    assert after("FREQ=DAILY", "2000-01-01 08:00", "2026-11-21T09:00") == "2026-11-22 08:00"
    assert time.process_time() - began < 2
