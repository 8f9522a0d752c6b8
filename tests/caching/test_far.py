"""The far cache: Redis that is empty, wrong, hung or gone costs misses, never errors, never staleness."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace

import pytest

from app import create_app
from app.caching import cache
from app.caching.far import FarCache
from tests.servers import Redis


@pytest.fixture
def url(make_user):
    return f"/api/v1/users/{make_user().id}"


@pytest.fixture
def redis(monkeypatch, app):
    """A Redis of this test's own in the place of the cache's."""
    with Redis() as server:
        config = app.config | {"CACHE_REDIS_URL": server.url}
        far = FarCache.factory(app, config, [], {})
        monkeypatch.setitem(app.extensions["cache"], cache, far)
        yield server


def test_another_process_finds_what_this_one_has_kept(redis, client, url, coherence):
    assert client.get(url).headers["Cache-Status"].endswith("stored")
    coherence.near.clear()
    assert "detail=far" in client.get(url).headers["Cache-Status"]
    assert "detail=near" in client.get(url).headers["Cache-Status"]


def test_keys_are_readable(redis, client, url):
    client.get(url)
    (key,) = redis.client.keys()
    id = url.rpartition("/")[2]
    assert key.startswith(f"broadsheet:v1-users_user_item:id={id}:".encode())
    assert 0 < redis.client.ttl(key) <= 300


def test_an_old_entry_in_redis_is_never_served(redis, client, url, as_user, make_user, coherence):
    """A Redis restored from an old dump: what it holds is under generations that nobody asks for."""
    client.get(url)
    (old,) = redis.client.keys()
    kept = redis.client.get(old)
    admin = make_user(role="admin")
    as_user(admin).put(url, json={"username": "renamed"})
    redis.client.flushall()
    redis.client.set(old, kept)
    coherence.near.clear()
    assert client.get(url).json["username"] == "renamed"


@pytest.mark.parametrize("fault", ["gone", "hung", "full", "wrong type", "garbage", "another entry's bytes"])
def test_a_fault_costs_a_miss_and_no_more(redis, client, url, make_user, fault, coherence):
    other = f"/api/v1/users/{make_user().id}"
    client.get(url)
    client.get(other)
    coherence.near.clear()
    keys = redis.client.keys()
    before = client.get(url).data
    coherence.near.clear()
    if fault == "gone":
        redis.kill_group()
    elif fault == "hung":
        os.kill(redis.pid, signal.SIGSTOP)
    elif fault == "full":
        redis.client.config_set("maxmemory", 1)
        redis.client.flushall()
    else:
        values = {key: redis.client.get(key) for key in keys}
        for key in keys:
            redis.client.delete(key)
            if fault == "wrong type":
                redis.client.lpush(key, "x")
            else:
                swapped = next(value for other, value in values.items() if other != key)
                redis.client.set(key, b"\x80\x04garbage" if fault == "garbage" else swapped)
    began = time.monotonic()
    answers = []
    for _ in range(10):
        coherence.near.clear()
        answers.append(client.get(url))
    spent = time.monotonic() - began
    if fault == "hung":
        os.kill(redis.pid, signal.SIGCONT)
    assert [answer.status_code for answer in answers] == [200] * 10
    assert {answer.data for answer in answers} == {before}
    assert spent < 1.0, "the breaker lets one timeout of 100 ms through, not one a request"


def test_redis_is_used_again_after_it_came_back(redis, client, url, monkeypatch, coherence):
    monkeypatch.setattr("app.caching.far.BREAKER_SECONDS", 0.2)
    os.kill(redis.pid, signal.SIGSTOP)
    client.get(url)
    os.kill(redis.pid, signal.SIGCONT)
    time.sleep(0.3)
    coherence.near.clear()
    client.get(url)
    assert redis.client.dbsize() == 1


def test_clear_forgets_everything_of_ours_and_nothing_else(redis, app):
    redis.client.set("somebody else's", "1")
    with app.app_context():
        cache.set("ours", b"kept")
        assert cache.get("ours") == b"kept"
        cache.clear()
        assert cache.get("ours") is None
    assert redis.client.get("somebody else's") == b"1"


def test_values_are_json_and_never_pickle(redis, app):
    with app.app_context():
        cache.set("a", {"b": [1, "c", None]})
        assert cache.get("a") == {"b": [1, "c", None]}
        with pytest.raises(TypeError):
            cache.set("a", object())
    assert all(not redis.client.get(key).startswith(b"!") for key in redis.client.keys())


@pytest.mark.parametrize("backend", ["SimpleCache", "RedisCache"])
def test_other_backends_of_flask_caching_keep_entries_too(environ, backend):
    """The operator's choice of `CACHE_TYPE` stays his; `RedisCache` is ours, which does not pickle."""
    app = create_app(environ | {"CACHE_TYPE": backend})
    coherence = app.extensions["coherence"]
    client = app.test_client()
    client.get("/api/v1/users?per_page=7")
    coherence.near.clear()
    assert "detail=far" in client.get("/api/v1/users?per_page=7").headers["Cache-Status"]
    coherence.source.close()


def test_a_backend_that_raises_costs_misses_and_no_more(environ, client, url, monkeypatch, app):
    broken = SimpleNamespace(get=lambda *_: 1 / 0, set=lambda *_, **__: 1 / 0)
    monkeypatch.setitem(app.extensions["cache"], cache, broken)
    assert client.get(url).headers["Cache-Status"].endswith("stored")
    assert "detail=near" in client.get(url).headers["Cache-Status"]


def test_two_apps_in_one_process_share_no_entry(environ, app, client, url, tmp_path):
    """Flask-Caching and Flask-SQLAlchemy keep their state by app; so do we."""
    client.get(url)
    other = create_app(environ)
    assert other.extensions["coherence"].near is not app.extensions["coherence"].near
    assert "detail=near" not in other.test_client().get(url).headers["Cache-Status"]
    other.extensions["coherence"].source.close()


def test_another_release_does_not_serve_this_ones_entries(redis, client, url, coherence, monkeypatch):
    """In a rolling deploy the shape of the JSON may differ between them."""
    client.get(url)
    coherence.near.clear()
    monkeypatch.setattr(coherence, "release", "another")
    assert client.get(url).headers["Cache-Status"].endswith("stored")
