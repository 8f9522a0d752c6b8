"""CACHE.md, proof 7: what a hit, a miss and a write cost is counted, and many who ask at once compute once."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import jwt
import pytest
from flask import Response

from app.caching import POSTS, cache
from app.services import posts, sessions, todos

TODOS = "/api/v1/todos"
MANY = 5_000


@pytest.fixture
def alice(make_user):
    return make_user()


@pytest.fixture
def hers(as_user, alice, make_todo):
    make_todo(alice)
    return as_user(alice)


@pytest.fixture
def cost(count_queries, cache_redis, monkeypatch):
    """`with cost() as spent:` then `spent` says how many SQL statements, Redis commands and verified signatures."""
    decode = jwt.decode_complete

    def commands():
        stats = cache_redis.client.info("commandstats")
        return sum(
            stat["calls"] for name, stat in stats.items() if name not in ("cmdstat_info", "cmdstat_client|setinfo")
        )

    @contextmanager
    def counting():
        spent = Counter()

        def noting(*arguments, **options):
            spent["signatures"] += 1
            return decode(*arguments, **options)

        with monkeypatch.context() as patch, count_queries() as statements:
            patch.setattr(jwt, "decode_complete", noting)
            before = commands()
            yield spent
            spent["redis"] = commands() - before
        spent["sql"] = len(statements)
        spent.statements = statements

    return counting


@pytest.fixture
def url(alice, make_post):
    return f"/api/v1/posts/{make_post(alice).id}"


def test_a_public_hit_costs_nothing(client, url, cost):
    client.get(url)
    with cost() as spent:
        answer = client.get(url)
    assert "detail=near" in answer.headers["Cache-Status"]
    assert +spent == {}


def test_a_private_hit_costs_nothing(hers, cost):
    """Neither a statement nor a signature nor a look at Redis: not even for the limits, which count writes."""
    hers.get(TODOS)
    with cost() as spent:
        answer = hers.get(TODOS)
    assert "detail=near" in answer.headers["Cache-Status"]
    assert +spent == {}


def test_a_304_costs_nothing(hers, cost):
    etag = hers.get(TODOS).headers["ETag"]
    with cost() as spent:
        assert hers.get(TODOS, headers={"If-None-Match": etag}).status_code == 304
    assert +spent == {}


def test_a_far_hit_asks_redis_twice(client, hers, url, cost, coherence):
    """For the namespace and for the entry."""
    for ask in (lambda: client.get(url), lambda: hers.get(TODOS)):
        ask()
        coherence.near.clear()
        with cost() as spent:
            answer = ask()
        assert "detail=far" in answer.headers["Cache-Status"]
        assert +spent == {"redis": 2}


def test_a_miss_asks_the_database_for_the_thing_alone(client, url, cost):
    """And Redis four times: namespace and entry, to look and to keep."""
    client.get("/api/v1/posts?page=9")
    with cost() as spent:
        assert client.get(url).headers["Cache-Status"].endswith("stored")
    assert (spent["sql"], spent["redis"]) == (1, 4)


def test_a_private_miss_asks_for_its_principal_once_more(hers, cost, make_todo, alice):
    """The fill sees no token: it is told who asks, and looks whether he still may. Then a count and the rows."""
    hers.get(TODOS)
    make_todo(alice)
    with cost() as spent:
        assert "fwd=stale" in hers.get(TODOS).headers["Cache-Status"]
    assert +spent == {"sql": 3, "redis": 4}


@pytest.fixture
def keep_variants(app):
    """keep_variants(how many): a handler of the posts' tag with so many variants kept; it counts its runs."""

    def fill(number):
        name, runs = uuid.uuid4().hex, []

        @cache.cached(tags=POSTS, make_cache_key=lambda n: f"{name}:{n}")
        def handler(resource, n):
            runs.append(n)
            return Response(b"{}", mimetype="application/json")

        def ask(n):
            with app.test_request_context("/api/v1/posts"):
                return handler(None, n=n).headers["Cache-Status"]

        for n in range(number):
            ask(n)
        assert len(runs) == number
        return ask

    return fill


def test_making_stale_costs_the_same_whatever_was_kept(hers, url, cost, keep_variants):
    spent, asks = {}, {}
    for number in (1, MANY):
        hers.put(url, json={"title": f"before {number}"})
        asks[number] = keep_variants(number)
        assert "; hit;" in asks[number](number - 1)
        hers.post(TODOS, json={"task": "begin the minute in which her writes are counted"})
        with cost() as spent[number]:
            assert hers.put(url, json={"title": f"after {number}"}).status_code == 200
        assert all("fwd=stale" in asks[number](n) for n in range(0, number, 97))
    assert spent[1] == spent[MANY]
    assert spent[1].statements == spent[MANY].statements


def herd(app, path, headers, number=200):
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: app.test_client().get(path, headers=headers), range(number)))


@pytest.fixture
def slowly(monkeypatch):
    """slowly(module, name): the function takes a while from now on; the list of its runs."""

    def patch(module, name):
        function, runs = getattr(module, name), []

        def slow(*arguments, **options):
            runs.append(arguments)
            threading.Event().wait(0.2)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, slow)
        return runs

    return patch


def test_two_hundred_readers_of_one_cold_public_key_compute_once(app, url, slowly):
    runs = slowly(posts, "published")
    answers = herd(app, "/api/v1/posts", {})
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len(runs) == 1


def test_two_hundred_readings_of_one_cold_private_key_compute_once(app, hers, slowly):
    runs = slowly(todos, "listed")
    headers = {"Authorization": hers.environ_base["HTTP_AUTHORIZATION"]}
    hers.get("/api/v1/todos?page=9")
    runs.clear()
    answers = herd(app, TODOS, headers)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len(runs) == 1


def test_a_warm_token_of_two_hundred_is_looked_up_in_the_database_by_none(app, hers, slowly):
    hers.get(TODOS)
    runs = slowly(sessions, "actor")
    answers = herd(app, TODOS, {"Authorization": hers.environ_base["HTTP_AUTHORIZATION"]})
    assert {answer.status_code for answer in answers} == {200}
    assert runs == []
