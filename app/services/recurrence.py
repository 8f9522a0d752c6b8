"""When a todo recurs: RFC 5545's RRULE by dates, reckoned in the time that the clocks of a zone show."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

FIXED, AFTER_COMPLETION = "fixed", "after_completion"
RULE_LENGTH = 200
FIRST_YEAR, LAST_YEAR = 2000, 2200  # of what recurs: a series is walked through from its start
CENTURIES, LATEST_START = 400, 9899
DAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
PARTS = {
    "FREQ": "DAILY|WEEKLY|MONTHLY|YEARLY",
    "INTERVAL": "[1-9][0-9]{0,2}",
    "COUNT": "[1-9][0-9]{0,3}",
    "UNTIL": "[0-9]{8}(?:T[0-9]{6}Z?)?",
    "BYDAY": f"(?:[+-]?(?:[1-9]|[1-4][0-9]|5[0-3]))?{DAY}",
    "BYMONTHDAY": "[+-]?(?:[1-9]|[12][0-9]|3[01])",
    "BYYEARDAY": "[+-]?(?:[1-9]|[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6])",
    "BYWEEKNO": "[+-]?(?:[1-9]|[1-4][0-9]|5[0-3])",
    "BYMONTH": "[1-9]|1[0-2]",
    "BYSETPOS": "[+-]?(?:[1-9]|[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6])",
    "WKST": DAY,
}
# RFC 5545 §3.3.10: what goes with which frequency.
ONLY = {"BYWEEKNO": ("YEARLY",), "BYYEARDAY": ("YEARLY",), "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY")}


@functools.cache
def zones() -> frozenset[str]:
    """The names of the time zones (IANA) that everybody knows; not this machine's own."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name; where there is none any more, as after a restore on another machine, UTC."""
    return ZoneInfo(name if name in zones() else "UTC")


def parsed(rule: str) -> dict[str, str]:
    """The parts of a rule by their names.

    :raises ValueError: it is none, or none that we take; says why.
    """
    pairs = [part.partition("=") for part in rule.upper().split(";")]
    parts = {name: value for name, _, value in pairs}
    if len(parts) < len(pairs):
        raise ValueError("has a part twice")
    for name, value in parts.items():
        each = value.split(",") if name.startswith("BY") else [value]
        if name not in PARTS or not all(re.fullmatch(PARTS[name], one, re.ASCII) for one in each):
            raise ValueError(f"has a part that is not taken: {name}={value}"[:100])
    frequency = parts.get("FREQ", "")
    if not frequency:
        raise ValueError("must have a FREQ")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise ValueError("must not have both COUNT and UNTIL")
    if any(name in parts and frequency not in fitting for name, fitting in ONLY.items()):
        raise ValueError(f"has a part that FREQ={frequency} does not take")
    if re.search("[0-9]", parts.get("BYDAY", "")) and (frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        raise ValueError("has a number in BYDAY that goes with MONTHLY and YEARLY alone")
    if "BYSETPOS" in parts and not any(name.startswith("BY") for name in parts.keys() - {"BYSETPOS"}):
        raise ValueError("must have another BY beside BYSETPOS")
    _end(parts, "UTC")
    return parts


def local(at: datetime, zone: str) -> datetime:
    """What the clocks of the zone show at an instant."""
    return at.astimezone(zone_of(zone)).replace(tzinfo=None)


def instant(shown: datetime, zone: str) -> datetime:
    """When the clocks of the zone show that: the first time, where they do twice; where they skip it, as much later
    (PEP 495, fold=0).
    """
    return shown.replace(tzinfo=zone_of(zone)).astimezone(UTC)


def ever_follows(rule: str, start: datetime) -> bool:
    """Whether there is any date after the start, whatever COUNT and UNTIL say."""
    return FIRST_YEAR <= start.year <= LAST_YEAR and next(_series(parsed(rule), start), None) is not None


def following(rule: str, mode: str, zone: str, start: datetime, now: datetime) -> tuple[int, datetime] | None:
    """The occurrence to come once the present one is done: how many after it, and what the clocks show then.

    `fixed`: the first of the series that is after now and after the present one. `after_completion`: the first of a
    series that begins today, at the start's time of day. COUNT is the caller's to keep.

    :param start: the present occurrence, as the clocks show it.
    :return: None when the rule has ended.
    """
    parts = parsed(rule)
    end = _end(parts, zone)
    if mode == AFTER_COMPLETION:
        start = datetime.combine(local(now, zone).date(), start.time())
    for number, shown in enumerate(_series(parts, start), 1):
        if shown > end or shown.year > LAST_YEAR:
            return None
        if instant(shown, zone) > now:
            return number, shown
    return None


def _series(parts: dict[str, str], start: datetime) -> Iterator[datetime]:
    """What is after the start.

    The library looks for the next date up to the year 9999, which takes seconds where there is none. The calendar comes
    again every 400 years: asked near its end, it is soon done.
    """
    later = (LATEST_START - start.year) // CENTURIES * CENTURIES
    start = start.replace(microsecond=0)
    text = ";".join(f"{name}={value}" for name, value in parts.items() if name not in ("COUNT", "UNTIL"))
    try:
        for at in rrulestr(text, dtstart=start.replace(year=start.year + later)):
            shown = at.replace(year=at.year - later)
            if shown > start:
                yield shown
    except (ValueError, OverflowError):  # it has looked beyond the year 9999
        return


def _end(parts: dict[str, str], zone: str) -> datetime:
    """Until when the rule goes, as the clocks show it."""
    until = parts.get("UNTIL", "99991231")
    try:
        if len(until) == len("20261224"):
            return datetime.combine(datetime.strptime(until, "%Y%m%d"), time.max)  # noqa: DTZ007
        shown = datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
        return local(shown.replace(tzinfo=UTC), zone) if until.endswith("Z") else shown
    except (ValueError, OverflowError):
        raise ValueError("has an UNTIL that is no time") from None
