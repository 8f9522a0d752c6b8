"""Statistics: what is published, in numbers. Computed now and then by a task; true as of `computed_at`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, func, literal, select

from app import policies
from app.errors import Forbidden, NotFound, TryAgain
from app.events import StatisticsDue, emit
from app.extensions import db
from app.models import Post, Statistic, StatisticsRefresh, User
from app.models.base import now
from app.services import users
from app.services.atomic import atomic, end_read
from app.services.computed import Computed
from app.services.posts import LIVE
from app.services.upsert import inserting

MOST_DAYS, MOST_CATEGORIES, MOST_AUTHORS, MOST_LONGEST = 1000, 50, 20, 10
AT_ONCE = 500  # posts whose words one statement counts: of the longest there can be it still ends in its time
ATTEMPTS = 3
PAUSE = timedelta(minutes=1)  # between refreshes that nobody asked for
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One part: for how long it is good, and how it is counted."""

    lifetime: timedelta
    count: Callable[[], Numbers]


def times(parts: tuple[str, ...]) -> dict[str, datetime]:
    """When each of these parts was computed; those that never were are not in it. One statement."""
    rows = db.session.execute(select(Statistic.part, Statistic.computed_at).where(Statistic.part.in_(parts)))
    return {row.part: row.computed_at for row in rows}


def numbers(part: str, computed_at: datetime) -> Numbers | None:
    """What was computed of the part at that time; None once it was computed anew. One statement."""
    row = db.session.execute(select(Statistic.numbers, Statistic.computed_at).where(Statistic.part == part)).first()
    return row.numbers if row and row.computed_at == computed_at else None


def expired(computed: dict[str, datetime]) -> tuple[str, ...]:
    """The parts whose time has run out."""
    return tuple(part for part, at in computed.items() if at + PARTS[part].lifetime <= now())


def shown(part: str, computed_at: datetime, counted: Numbers) -> Computed:
    """A part as it is shown: users and posts by their present names, and without those that are gone. One statement
    where it has any.
    """
    expires_at = computed_at + PARTS[part].lifetime
    content: dict[str, Any] = {"computed_at": computed_at, "expires_at": expires_at} | counted
    if part == "authors":
        living = select(User).where(User.id.in_([id for id, _ in counted["items"]]), users.LIVE)
        authors = {user.id: user for user in db.session.scalars(living)}
        content["items"] = [{"author": authors[id], "posts": n} for id, n in counted["items"] if id in authors]
    elif part == "words":
        live = select(Post.id, Post.title).where(Post.id.in_([id for id, _ in counted["longest"]]), LIVE)
        titles = {row.id: row.title for row in db.session.execute(live)}
        longest = [(id, n) for id, n in counted["longest"] if id in titles]
        content["longest"] = [{"id": id, "title": titles[id], "words": n} for id, n in longest]
    else:
        content["items"] = [{SUBJECTS[part]: subject, "posts": n} for subject, n in counted["items"]]
    return Computed(content, computed_at, expires_at)


def together(parts: dict[str, Computed]) -> Computed:
    """One page of these parts: as old as the oldest, and good until the first of them is not."""
    computed_at = min(part.computed_at for part in parts.values())
    expires_at = min(part.expires_at for part in parts.values())
    content = {"computed_at": computed_at, "expires_at": expires_at} | {n: part.content for n, part in parts.items()}
    return Computed(content, computed_at, expires_at)


_computing = threading.Lock()


def compute_missing(parts: tuple[str, ...]) -> None:
    """Compute what never was of these parts; whoever asks for it meanwhile, in this process, waits."""
    end_read()
    with _computing:
        known = times(parts)
        for part in (part for part in parts if part not in known):
            _keep(part, *_computed(part))


def ask(actor: User) -> StatisticsRefresh:
    """Let all parts be computed anew by a task; where that is under way already, that is it.

    :raises Forbidden:
    """
    with atomic():
        if not policies.can_refresh_statistics(actor):
            raise Forbidden("Admin access required")
        _open("all", tuple(PARTS))
        under_way = select(StatisticsRefresh).where(StatisticsRefresh.scope == "all", StatisticsRefresh.open.is_(True))
        refresh: StatisticsRefresh | None = db.session.scalar(under_way)
        if refresh is None:  # it has ended this very moment
            raise TryAgain
    return refresh


def ask_for_expired(parts: tuple[str, ...]) -> None:
    """Let these parts be computed anew by a task, unless a refresh is under way, or one has failed just now."""
    lately = StatisticsRefresh.open.is_(True) | (StatisticsRefresh.created_at > now() - PAUSE)
    if db.session.scalar(select(StatisticsRefresh.id).where(lately).limit(1)) is None:
        with atomic():
            _open("expired", parts)


def refresh(actor: User, refresh_id: int) -> StatisticsRefresh:
    """A refresh, and how far it is.

    :raises Forbidden, NotFound:
    """
    if not policies.can_refresh_statistics(actor):
        raise Forbidden("Admin access required")
    found = db.session.get(StatisticsRefresh, refresh_id)
    if found is None:
        raise NotFound("Refresh not found")
    return found


def run_refresh(event_id: str, refresh_id: int) -> None:
    """Compute the parts of a refresh that are not done, one after the other. After ATTEMPTS failures it has failed."""
    parts = _begin(refresh_id)
    try:
        for part in parts:
            numbers, computed_at = _computed(part)
            with atomic():
                _keep(part, numbers, computed_at)
                _advance(refresh_id, part)
    except Exception as error:
        if not _failed(refresh_id, error):
            raise  # the outbox tries again


def _begin(refresh_id: int) -> list[str]:
    """Count an attempt; what is left to do."""
    with atomic():
        refresh = db.session.get(StatisticsRefresh, refresh_id, with_for_update=True)
        if refresh is None or not refresh.open:
            return []
        if refresh.attempts >= ATTEMPTS:  # the last one told nothing: it has killed its worker
            refresh.open, refresh.finished_at = None, now()
            refresh.error = refresh.error or "Its worker was killed"
            return []
        refresh.attempts += 1
        refresh.started_at = refresh.started_at or now()
        return refresh.parts[refresh.done :]


def _advance(refresh_id: int, part: str) -> None:
    """The part is done, and so are those before it. (Two may run it at once: see the outbox's LEASE.)"""
    refresh = db.session.get_one(StatisticsRefresh, refresh_id, with_for_update=True)
    refresh.done = max(refresh.done, refresh.parts.index(part) + 1)
    if refresh.open and refresh.done == refresh.total:
        refresh.open, refresh.finished_at, refresh.error = None, now(), None


def _failed(refresh_id: int, error: Exception) -> bool:
    """Note the error; whether it was the last attempt's."""
    with atomic():
        refresh = db.session.get_one(StatisticsRefresh, refresh_id, with_for_update=True)
        if refresh.open:
            refresh.error = repr(error)[:2000]
            if refresh.attempts >= ATTEMPTS:
                refresh.open, refresh.finished_at = None, now()
        return not refresh.open


def _open(scope: str, parts: tuple[str, ...]) -> None:
    """A new refresh, unless one of this scope is under way."""
    values = {"scope": scope, "open": True, "parts": list(parts)}
    statement = inserting(StatisticsRefresh).values(**values).on_conflict_do_nothing().returning(StatisticsRefresh.id)
    id = db.session.scalar(statement)
    if id is not None:
        emit(StatisticsDue(id))


def _computed(part: str) -> tuple[Numbers, datetime]:
    """The part's numbers, and since when they may be old. No transaction stays open."""
    end_read()
    at = now()
    counted = PARTS[part].count()
    end_read()
    return counted, at


def _keep(part: str, numbers: Numbers, computed_at: datetime) -> None:
    """Keep a part's numbers, unless newer ones are there."""
    with atomic():
        new = inserting(Statistic).values(part=part, numbers=numbers, computed_at=computed_at)
        newer = {"numbers": new.excluded.numbers, "computed_at": new.excluded.computed_at}
        older = Statistic.computed_at < new.excluded.computed_at
        db.session.execute(new.on_conflict_do_update(index_elements=["part"], set_=newer, where=older))


def _count_days() -> Numbers:
    """How many posts each day has, of the last MOST_DAYS days that have any, oldest first."""
    day, posts = func.date(Post.created_at), func.count()  # in UTC: our connections have no other zone
    rows = db.session.execute(select(day, posts).where(LIVE).group_by(day).order_by(day.desc()).limit(MOST_DAYS))
    return {"items": [[str(day), n] for day, n in rows][::-1]}


def _count_categories() -> Numbers:
    return {"items": _most_used(Post.category, MOST_CATEGORIES)}


def _count_authors() -> Numbers:
    return {"items": _most_used(Post.user_id, MOST_AUTHORS)}


def _most_used(column: Any, limit: int) -> list[list[Any]]:
    posts = func.count()
    rows = select(column, posts).where(LIVE).group_by(column).order_by(posts.desc(), column).limit(limit)
    return [list(row) for row in db.session.execute(rows)]


def _count_words() -> Numbers:
    """How many words there are, in all and in the mean, and the longest posts: AT_ONCE posts to a statement."""
    posts, total, last = 0, 0, 0
    longest: list[tuple[int, int]] = []
    while True:
        rows = select(Post.id, _words(Post.content)).where(LIVE, Post.id > last).order_by(Post.id).limit(AT_ONCE)
        found = [(id, words) for id, words in db.session.execute(rows)]
        posts, total = posts + len(found), total + sum(words for _, words in found)
        longest = sorted([*longest, *found], key=lambda row: (-row[1], row[0]))[:MOST_LONGEST]
        if len(found) < AT_ONCE:
            break
        last = found[-1][0]
        end_read()
    return {"posts": posts, "total": total, "mean": round(total / posts, 1) if posts else 0.0, "longest": longest}


def _words(column: Any) -> ColumnElement[int]:
    """How many words a text has: what stands between blanks, tabs and line breaks; alike in both databases.

    Each run of blanks becomes one pair of characters that are in no text by then. Runs are one more than words.
    """
    text = literal(" ") + column + " "
    for old, new in (("\t", " "), ("\n", " "), ("\r", " "), ("\x01", ""), ("\x02", "")):
        text = func.replace(text, old, new)
    pairs = func.replace(func.replace(text, " ", "\x01\x02"), "\x02\x01", "")
    length = functools.partial(func.length, type_=Integer)  # else PostgreSQL divides into fractions
    return (length(pairs) - length(func.replace(text, " ", ""))) // 2 - 1


PARTS = {
    "posts_per_day": Part(timedelta(hours=1), _count_days),
    "categories": Part(timedelta(hours=6), _count_categories),
    "authors": Part(timedelta(hours=6), _count_authors),
    "words": Part(timedelta(hours=24), _count_words),
}
SUBJECTS = {"posts_per_day": "date", "categories": "name"}
