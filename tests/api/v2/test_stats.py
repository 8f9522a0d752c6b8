"""v2's statistics: true numbers of what is published, as of the time that they name."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.caching import fragments
from app.errors import Unavailable
from app.extensions import db
from app.models import StatisticsRefresh
from app.models.base import now
from app.services import statistics
from tests.conftest import BACKEND

PARTS = ("posts-per-day", "categories", "authors", "words")
REFRESH = "/api/v2/stats/refresh"


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.fixture
def age(sql):
    """age(part, hours): as if it had been computed so long ago."""

    def put_back(part: str, hours: float) -> None:
        then = now() - timedelta(hours=hours)
        sql("UPDATE statistics SET computed_at = :at WHERE part = :part", at=f"{then:%F %T.%f}", part=part)

    return put_back


@pytest.fixture
def seconds_left():
    """seconds_left(answer): how long it is kept yet."""

    def of(answer) -> int:
        status = answer.headers["Cache-Status"]
        assert "; hit; ttl=" in status
        return int(status.split("ttl=")[1].split(";")[0])

    return of


@pytest.fixture
def computed(monkeypatch):
    """The parts that were counted, one after the other."""
    counted = []
    for name, part in statistics.PARTS.items():

        def count(name=name, part=part):
            counted.append(name)
            return part.count()

        monkeypatch.setitem(statistics.PARTS, name, replace(part, count=count))
    return counted


def test_each_part_counts_what_is_published_and_nothing_else(client, make_user, make_post):
    alice, bob = make_user(username="alice"), make_user(username="bob")
    make_post(alice, created_at=at(1, 0), category="news")
    make_post(alice, created_at=at(1, 23), category="news")
    make_post(bob, created_at=at(3), category="general")
    make_post(bob, created_at=at(3), category="news", draft=True)
    make_post(bob, created_at=at(3), category="news", deleted_at=now())
    whole = client.get("/api/v2/stats").json
    days = [{"date": "2026-03-01", "posts": 2}, {"date": "2026-03-03", "posts": 1}]
    assert whole["posts_per_day"]["items"] == days
    assert whole["categories"]["items"] == [{"name": "news", "posts": 2}, {"name": "general", "posts": 1}]
    authors = [(item["author"]["username"], item["posts"]) for item in whole["authors"]["items"]]
    assert authors == [("alice", 2), ("bob", 1)]
    assert (whole["words"]["posts"], whole["words"]["total"], whole["words"]["mean"]) == (3, 6, 2.0)
    for part in PARTS:
        assert client.get(f"/api/v2/stats/{part}").json == whole[part.replace("-", "_")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one", 1),
        ("one two", 2),
        ("  one \n\n\t two\r\nthree  ", 3),
        ("one-two, three.", 2),
        ("äöü 你好 🎉🎉", 3),
        ("one\x02\x01two three", 2),
        ("a " * 30_000, 30_000),
    ],
)
def test_words_are_what_stands_between_blanks(client, make_user, make_post, text, words):
    make_post(make_user(), content=text)
    assert f'"total":{words},' in client.get("/api/v2/stats/words").text


def test_words_of_more_posts_than_one_statement_counts(client, make_user, make_post, monkeypatch):
    monkeypatch.setattr(statistics, "AT_ONCE", 2)
    alice = make_user()
    posts = [make_post(alice, title=f"{n}", content="word " * n) for n in (3, 1, 4, 1, 5)]
    answer = client.get("/api/v2/stats/words").json
    assert (answer["posts"], answer["total"], answer["mean"]) == (5, 14, 2.8)
    longest = [(post["id"], post["title"], post["words"]) for post in answer["longest"]]
    assert longest == [(posts[n].id, posts[n].title, int(posts[n].title)) for n in (4, 2, 0, 1, 3)]


def test_where_nothing_is_published_there_is_nothing_to_count(client):
    whole = client.get("/api/v2/stats").json
    assert [whole[part]["items"] for part in ("posts_per_day", "categories", "authors")] == [[], [], []]
    assert (whole["words"]["total"], whole["words"]["mean"], whole["words"]["longest"]) == (0, 0.0, [])


def test_the_first_to_ask_gets_numbers_and_the_next_a_hit(client, make_user, make_post, computed):
    make_post(make_user())
    assert client.get("/api/v2/stats").headers["Cache-Status"].endswith("; stored")
    assert "; hit;" in client.get("/api/v2/stats").headers["Cache-Status"]
    client.get("/api/v2/stats/words")
    assert computed == list(statistics.PARTS)


def test_however_many_are_the_first_one_computes(app, make_user, make_post, computed):
    make_post(make_user())
    together = threading.Barrier(6)

    def ask(n):
        together.wait()
        return app.test_client().get(("/api/v2/stats", "/api/v2/stats/words")[n % 2]).status_code

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [200] * 6
    assert sorted(computed) == sorted(statistics.PARTS)


def test_a_write_leaves_the_numbers_as_of_their_time(client, make_user, make_post):
    alice = make_user()
    make_post(alice)
    before = client.get("/api/v2/stats/categories").json
    make_post(alice)
    again = client.get("/api/v2/stats/categories")
    assert "; hit;" in again.headers["Cache-Status"]
    assert again.json == before


def test_names_and_titles_are_the_present_ones_and_what_is_gone_is_not_named(client, sql, make_user, make_post):
    alice, bob = make_user(username="alice"), make_user(username="bob")
    make_post(alice, title="secret")
    make_post(bob, title="old")
    assert "secret" in client.get("/api/v2/stats").text
    sql("UPDATE users SET display_name = 'Bob the Builder' WHERE username = 'bob'")
    sql("UPDATE users SET deleted_at = created_at WHERE username = 'alice'")
    sql("UPDATE posts SET deleted_at = created_at WHERE title = 'secret'")
    sql("UPDATE posts SET title = 'new' WHERE title = 'old'")
    whole = client.get("/api/v2/stats").json
    assert whole["authors"] == client.get("/api/v2/stats/authors").json
    assert [item["author"]["display_name"] for item in whole["authors"]["items"]] == ["Bob the Builder"]
    assert whole["words"] == client.get("/api/v2/stats/words").json
    assert [post["title"] for post in whole["words"]["longest"]] == ["new"]


def test_a_part_is_kept_as_long_as_it_is_good_and_the_whole_as_its_shortest_part(client, age, seconds_left):
    client.get("/api/v2/stats")
    age("words", 23.5)
    for address, seconds in (("", 1800), ("/words", 1800), ("/posts-per-day", 3600), ("/authors", 6 * 3600)):
        client.get(f"/api/v2/stats{address}")
        left = seconds_left(client.get(f"/api/v2/stats{address}"))
        assert seconds - 60 < left <= seconds, address


def test_the_whole_is_as_old_as_its_oldest_part(client, age):
    client.get("/api/v2/stats")
    age("authors", 3)
    whole = client.get("/api/v2/stats").json
    assert whole["computed_at"] == whole["authors"]["computed_at"] < whole["words"]["computed_at"]
    assert whole["expires_at"] == whole["posts_per_day"]["expires_at"]


def test_its_age_is_that_of_the_numbers_however_it_is_answered(client, age, coherence):
    client.get("/api/v2/stats")
    age("authors", 3)
    hours = range(3 * 3600, 3 * 3600 + 60)
    computed = client.get("/api/v2/stats")
    tag = {"If-None-Match": computed.headers["ETag"]}
    near = client.get("/api/v2/stats")
    unmodified = [client.get("/api/v2/stats", headers=tag) for _ in range(2)]
    coherence.near.clear()
    far = client.get("/api/v2/stats")
    assert "fwd=" in computed.headers["Cache-Status"]
    assert "detail=near" in near.headers["Cache-Status"]
    assert "detail=far" in far.headers["Cache-Status"]
    assert [answer.status_code for answer in unmodified] == [304, 304]
    for answer in (computed, near, far, *unmodified):
        assert answer.headers.get_all("Age") == [answer.headers["Age"]]
        assert int(answer.headers["Age"]) in hours
    assert int(client.get("/api/v2/stats/words").headers["Age"]) < 60


def test_what_is_old_is_answered_as_it_is_while_a_task_is_asked_for_new_numbers(app, client, sql, age, seconds_left):
    before = client.get("/api/v2/stats").json
    age("categories", 7)
    age("authors", 7)
    for _ in range(2):  # the second asks nobody: somebody is asked already
        client.get("/api/v2/stats")
        old = client.get("/api/v2/stats")
        assert old.json["categories"]["items"] == before["categories"]["items"]
        assert old.json["categories"]["computed_at"] < before["categories"]["computed_at"]
        assert 0 < seconds_left(old) <= 10
        age("categories", 8)
    with app.app_context():
        (asked,) = db.session.scalars(select(StatisticsRefresh))
    assert (asked.scope, sorted(asked.parts)) == ("expired", ["authors", "categories"])
    assert sql("SELECT subscriber FROM outbox") == [("refresh_statistics",)]


def test_what_is_old_is_answered_where_nobody_can_be_asked(client, age, monkeypatch, caplog):
    def refuse(parts):
        raise Unavailable

    client.get("/api/v2/stats/words")
    age("words", 25)
    monkeypatch.setattr(statistics, "ask_for_expired", refuse)
    assert client.get("/api/v2/stats/words").status_code == 200
    assert "statistics are old" in caplog.text


def test_fragments_are_shared_between_answers(client, make_user, make_post, count_queries):
    make_post(make_user())
    client.get("/api/v2/stats")
    with count_queries() as statements:
        assert "; stored" in client.get("/api/v2/stats/categories").headers["Cache-Status"]
    assert len(statements) == 1, "when it was computed; its numbers are the whole's"
    assert "numbers" not in statements[0]


def test_a_fragment_that_was_let_go_is_read_again(app, client, make_user, make_post, count_queries):
    make_post(make_user())
    whole = client.get("/api/v2/stats").json
    with app.app_context():
        fragments.forget_numbers()
    with count_queries() as statements:
        assert client.get("/api/v2/stats/categories").json == whole["categories"]
    assert len(statements) == 2


def test_numbers_are_never_shown_under_another_time(app, client, sql, age, make_user, make_post, monkeypatch):
    """A task may keep new ones after their time was read, and before they are."""
    original = statistics.times

    def read_and_be_overtaken(parts):
        monkeypatch.setattr(statistics, "times", original)
        times = original(parts)
        make_post(alice)
        with app.app_context():
            statistics._keep("words", *statistics._computed("words"))
        return times

    alice = make_user()
    make_post(alice)
    client.get("/api/v2/stats/words")
    age("words", 1)
    ((aged,),) = sql("SELECT computed_at FROM statistics")
    monkeypatch.setattr(statistics, "times", read_and_be_overtaken)
    after = client.get("/api/v2/stats/words").json
    is_new = after["computed_at"][:19] > str(aged).replace(" ", "T")[:19]
    assert after["posts"] == (2 if is_new else 1)
    assert is_new == (BACKEND == "postgresql"), "SQLite reads both in one snapshot"


def test_an_admin_asks_for_new_numbers_and_follows_how_far_they_are(make_user, as_user, sql):
    admin = as_user(make_user(role="admin"), "v2")
    asked = admin.post(REFRESH)
    assert asked.status_code == 202
    assert asked.headers["Location"] == f"/api/v2/stats/refreshes/{asked.json['id']}"
    followed = admin.get(asked.headers["Location"])
    assert followed.json == asked.json
    assert followed.headers["Cache-Control"] == "no-store"
    assert (asked.json["status"], asked.json["done"], asked.json["total"]) == ("queued", 0, 4)
    assert sql("SELECT event, subscriber FROM outbox") == [("StatisticsDue", "refresh_statistics")]


def test_who_asks_while_it_is_under_way_gets_the_same_refresh(make_user, as_user, sql):
    admin = as_user(make_user(role="admin"), "v2")
    first, second = admin.post(REFRESH), admin.post(REFRESH)
    assert second.status_code == 202
    assert second.headers["Location"] == first.headers["Location"]
    assert len(sql("SELECT id FROM outbox")) == 1


def test_of_many_who_ask_at_once_all_get_the_same_refresh(app, make_user, token_of, sql):
    token, together = token_of(make_user(role="admin"), "v2"), threading.Barrier(4)

    def ask(_):
        together.wait()
        return app.test_client().post(REFRESH, headers={"Authorization": f"Bearer {token}"}).headers["Location"]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(sql("SELECT id FROM outbox")) == 1


def test_a_refresh_of_what_is_old_is_not_the_one_that_an_admin_asks_for(client, make_user, as_user, age):
    client.get("/api/v2/stats")
    age("words", 25)
    client.get("/api/v2/stats/words")
    assert as_user(make_user(role="admin"), "v2").post(REFRESH).json["total"] == 4


def test_there_is_no_refresh_that_nobody_asked_for(make_user, as_user):
    answer = as_user(make_user(role="admin"), "v2").get("/api/v2/stats/refreshes/17")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
