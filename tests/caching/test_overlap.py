"""CACHE.md, proof 2: a reader that overlaps a writer cannot poison the cache."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from app.caching.extension import CoherentCache
from app.services import posts


class Gate:
    """Wraps a function so that its first call stops, before or after its work, until the gate is opened."""

    def __init__(self, function, before):
        self._function, self._before = function, before
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, *args, **kwargs):
        if self._before:
            self._stop()
        result = self._function(*args, **kwargs)
        if not self._before:
            self._stop()
        return result

    def _stop(self):
        if not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(20)


@pytest.fixture(params=["between note and query", "between query and store", "before the note"])
def gate(request, monkeypatch, coherence):
    """The places where a reader may be overtaken."""
    if request.param == "between note and query":
        gate = Gate(coherence.source.read, before=False)
        monkeypatch.setattr(coherence.source, "read", gate)
    elif request.param == "before the note":
        gate = Gate(coherence.source.read, before=True)
        monkeypatch.setattr(coherence.source, "read", gate)
    else:
        kept = CoherentCache._kept
        gate = Gate(kept, before=True)
        monkeypatch.setattr(CoherentCache, "_kept", lambda self, *args: gate(self, *args))
    return gate


def test_a_reader_that_overlaps_a_writer_cannot_poison_the_cache(app, gate, make_user, make_post, as_user):
    alice = make_user()
    post = make_post(alice, title="old")
    url = f"/api/v1/posts/{post.id}"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: app.test_client().get(url))
        assert gate.reached.wait(20)
        assert as_user(alice).put(url, json={"title": "new"}).status_code == 200
        assert app.test_client().get(url).json["title"] == "new", "while the slow reader is under way"
        gate.opened.set()
        assert slow.result().status_code == 200
    for _ in range(3):
        assert app.test_client().get(url).json["title"] == "new"


def test_a_reader_that_overlaps_a_writer_cannot_poison_the_far_cache(
    app, monkeypatch, make_user, make_post, as_user, coherence
):
    """What the slow reader stores is under generations that nobody asks for again, near or far."""
    alice = make_user()
    post = make_post(alice, title="old")
    url = f"/api/v1/posts/{post.id}"
    gate = Gate(posts.one, before=False)
    monkeypatch.setattr(posts, "one", gate)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: app.test_client().get(url))
        assert gate.reached.wait(20)
        as_user(alice).put(url, json={"title": "new"})
        gate.opened.set()
        assert slow.result().json["title"] == "old", "it read before the write"
    assert app.test_client().get(url).json["title"] == "new"
    coherence.near.clear()
    assert app.test_client().get(url).json["title"] == "new"


def test_who_comes_after_a_write_does_not_take_a_flight_that_began_before_it(
    app, monkeypatch, make_user, make_post, as_user
):
    alice = make_user()
    post = make_post(alice, title="old")
    url = f"/api/v1/posts/{post.id}"
    gate = Gate(posts.one, before=False)
    monkeypatch.setattr(posts, "one", gate)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(lambda: app.test_client().get(url))
        assert gate.reached.wait(20)
        as_user(alice).put(url, json={"title": "new"})
        later = pool.submit(lambda: app.test_client().get(url))
        wait([later], timeout=0.5)  # were it to wait for the flight under way, it would get what that brings
        gate.opened.set()
        assert later.result().json["title"] == "new"
        assert slow.result().json["title"] == "old"


def test_a_missing_post_that_is_made_is_found_at_once(app, client, make_user, make_post, sql):
    """404 is never kept (TRAPS 4)."""
    alice = make_user()
    url = f"/api/v1/posts/{make_post(alice).id + 1}"
    assert client.get(url).status_code == 404
    made = make_post(alice)
    assert url.endswith(f"/{made.id}")
    assert client.get(url).status_code == 200


def test_two_hundred_readers_of_one_cold_key_compute_once(app, monkeypatch, make_user, make_post):
    make_post(make_user())
    computed = []
    published = posts.published

    def counted(**query):
        computed.append(threading.get_ident())
        threading.Event().wait(0.2)
        return published(**query)

    monkeypatch.setattr(posts, "published", counted)
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: app.test_client().get("/api/v1/posts"), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len(computed) == 1


def test_a_flight_that_fails_fails_for_nobody_else(app, monkeypatch, make_user, make_post):
    make_post(make_user())
    published, calls = posts.published, []

    def first_fails(**query):
        calls.append(1)
        if len(calls) == 1:
            threading.Event().wait(0.2)
            raise RuntimeError("the first one fails")
        return published(**query)

    monkeypatch.setattr(posts, "published", first_fails)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: app.test_client().get("/api/v1/posts"), range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 500]
