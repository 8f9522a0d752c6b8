"""CACHE.md, proof 8: hits are computed anew and compared; a difference under unchanged generations is an alarm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app import metrics
from app.caching.observer import Observer
from tests.servers import wait_for

POSTS, TODOS = "/api/v2/posts", "/api/v2/todos"


@pytest.fixture
def seen(app, coherence, monkeypatch):
    """What each hit was found to be; every one is looked at."""
    found = []
    monkeypatch.setattr(coherence, "observer", Observer(app, coherence, 1))
    monkeypatch.setattr(metrics, "observed", lambda route, what: found.append((route, what)))
    return found


@pytest.fixture
def alice(make_user, make_post):
    user = make_user()
    make_post(user)
    return user


def hit(client, url):
    for _ in range(3):
        answer = client.get(url)
        if "detail=near" in answer.headers["Cache-Status"]:
            return answer
    raise AssertionError(answer.headers["Cache-Status"])


def forge(coherence, word):
    """What is kept gets another body, under its own generations."""
    for entry in coherence.near:
        if word in entry.key:
            coherence.keep(replace(entry, body=b"{}", coded={}))


@pytest.mark.parametrize("query", ["", "?limit=5&sort=-title", "?category=na%C3%AFve"])
def test_a_hit_is_found_to_be_what_is_computed(client, alice, seen, query):
    hit(client, POSTS + query)
    wait_for(lambda: seen == [(POSTS, "same")])


def test_a_private_hit_is_computed_for_its_owner(as_user, alice, make_todo, seen):
    make_todo(alice)
    hit(as_user(alice, "v2"), TODOS)
    wait_for(lambda: seen == [(TODOS, "same")])


@pytest.mark.parametrize("url", [POSTS, TODOS])
def test_a_difference_is_an_alarm(client, as_user, alice, make_todo, coherence, seen, caplog, url):
    make_todo(alice)
    hers = as_user(alice, "v2")
    coherence.near.clear()
    hers.get(url)
    forge(coherence, "v2-posts" if url == POSTS else "v2-todos")
    assert hit(hers, url).data == b"{}"
    wait_for(lambda: seen == [(url, "different")])
    wait_for(lambda: "what is kept is not what is computed" in caplog.text)


def test_what_moves_meanwhile_is_no_alarm(app, client, alice, coherence, seen, sql, monkeypatch):
    hit(client, POSTS)
    wait_for(lambda: len(seen) == 1)
    dispatch = app.full_dispatch_request

    def overtaken():
        answer = dispatch()
        sql("UPDATE posts SET title = 'new'")
        return answer

    def overtaking():
        sql("UPDATE posts SET title = 'newer'")
        return dispatch()

    for meanwhile in (overtaken, overtaking):
        for _ in range(2):
            client.get(POSTS)
        wait_for(lambda: coherence.observer._busy.acquire(blocking=False))
        seen.clear()
        monkeypatch.setattr(app, "full_dispatch_request", meanwhile)
        coherence.observer._busy.release()
        client.get(POSTS)
        wait_for(lambda: seen == [(POSTS, "moved")])
        monkeypatch.setattr(app, "full_dispatch_request", dispatch)


def test_what_it_computes_is_not_kept(client, alice, coherence, seen):
    hit(client, POSTS)
    kept = [id(entry) for entry in coherence.near]
    wait_for(lambda: len(seen) == 1)
    assert [id(entry) for entry in coherence.near] == kept


def test_what_fails_is_counted(app, client, alice, seen, monkeypatch):
    client.get(POSTS)
    monkeypatch.setattr(app, "full_dispatch_request", lambda: 1 / 0)
    hit(client, POSTS)
    wait_for(lambda: seen == [(POSTS, "failed")])


def test_one_hit_in_so_many_is_looked_at(app, client, alice, coherence, seen, monkeypatch):
    hit(client, POSTS)
    wait_for(lambda: len(seen) == 1)
    monkeypatch.setattr(coherence, "observer", Observer(app, coherence, 10))
    for _ in range(35):
        client.get(POSTS)
    wait_for(lambda: len(seen) >= 2)
    wait_for(lambda: not coherence.observer._busy.locked())
    assert len(seen) <= 4
    monkeypatch.setattr(coherence, "observer", Observer(app, coherence, 0))
    seen.clear()
    for _ in range(35):
        client.get(POSTS)
    assert seen == []
