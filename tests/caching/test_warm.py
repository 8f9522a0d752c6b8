"""What a POST or PUT answers with warms the detail: the GET after it is a hit, and as true as any other."""

from __future__ import annotations

import http.client
import json
from types import SimpleNamespace

import pytest
from flask import Flask, g, request
from sqlalchemy import text

from app.caching import cache, warming
from app.extensions import db
from app.services import posts

NEW = {"title": "mine", "content": "Words"}


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def hers(as_user, alice):
    return as_user(alice)


@pytest.fixture
def write(hers, alice, make_post, make_todo):
    """write(what): (the answer, the address of what was written)."""
    post, todo = f"/api/v1/posts/{make_post(alice).id}", f"/api/v1/todos/{make_todo(alice)}"
    user = f"/api/v1/users/{alice.id}"
    ways = {
        "a post": lambda: hers.post("/api/v1/posts", json=NEW),
        "a post again": lambda: hers.put(post, json={"title": "new"}),
        "a post by its other spelling": lambda: hers.put(f"{post}/", json={"title": "newer"}),
        "a user": lambda: hers.post("/api/v1/users", json={"username": "bob", "password": "a-long-password"}),
        "a user again": lambda: hers.put(user, json={"username": "alicia"}),
        "a todo": lambda: hers.post("/api/v1/todos", json={"task": "Buy ink"}),
        "a todo again": lambda: hers.put(todo, json={"done": True}),
    }
    targets = {"a post again": post, "a post by its other spelling": post, "a user again": user, "a todo again": todo}

    def do(what):
        answer = ways[what]()
        assert answer.status_code in (200, 201), answer.text
        return answer, targets.get(what) or answer.headers["Location"]

    do.ways = ways
    return do


WAYS = ("a post", "a post again", "a post by its other spelling", "a user", "a user again", "a todo", "a todo again")


@pytest.mark.parametrize("what", WAYS)
def test_the_get_after_a_write_is_a_hit_and_says_what_an_uncached_one_says(what, write, hers, uncached):
    _, address = write(what)
    hit = hers.get(address)
    assert "; hit;" in hit.headers["Cache-Status"]
    with uncached():
        computed = hers.get(address)
    assert computed.headers["Cache-Status"].startswith("broadsheet; fwd=bypass")
    assert (hit.data, hit.headers["ETag"]) == (computed.data, computed.headers["ETag"])


def test_every_way_of_the_fixture_is_tested(write):
    assert set(write.ways) == set(WAYS)


def test_a_public_thing_is_warm_for_everybody(write, client):
    _, address = write("a post")
    assert "; hit;" in client.get(address).headers["Cache-Status"]


def test_a_private_thing_is_warm_for_its_owner_alone(write, client, as_user, make_user):
    _, address = write("a todo")
    assert client.get(address).status_code == 401
    assert as_user(make_user()).get(address).status_code == 404


def test_a_replayed_write_answers_as_the_first(hers):
    first, again = (hers.post("/api/v1/posts", json=NEW, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert again.data == first.data
    assert "; hit;" in hers.get(first.headers["Location"]).headers["Cache-Status"]


def test_what_is_refused_or_deleted_is_not_asked_for(hers, alice, make_post, make_user, monkeypatch):
    asked = []
    monkeypatch.setattr(warming, "_get", lambda app, path: asked.append(path))
    post, others = make_post(alice), make_post(make_user())
    hers.post("/api/v1/posts", json={})
    hers.put(f"/api/v1/posts/{others.id}", json={"title": "x"})
    hers.get(f"/api/v1/posts/{post.id}")
    hers.delete(f"/api/v1/posts/{post.id}")
    hers.post("/api/v1/users/logout")
    assert asked == []


def overtaking(function, write, before):
    """The function, with another writer's commit just before or after its work."""

    def overtaken(*arguments, **options):
        if before:
            write()
        result = function(*arguments, **options)
        if not before:
            write()
        return result

    return overtaken


@pytest.mark.parametrize(
    ("module", "name", "before"),
    [(warming, "_get", True), (posts, "one", True), (posts, "one", False)],
    ids=["between the write and the warming", "between note and query", "between query and store"],
)
@pytest.mark.parametrize("method", ["post", "put"])
def test_another_writer_never_poisons_what_is_warmed(
    module, name, before, method, hers, make_post, alice, sql, client, monkeypatch
):
    url = f"/api/v1/posts/{make_post(alice).id}" if method == "put" else "/api/v1/posts"

    def write():
        sql("UPDATE posts SET title = 'theirs'")

    with monkeypatch.context() as patch:
        patch.setattr(module, name, overtaking(getattr(module, name), write, before))
        answer = hers.open(url, method=method, json=NEW)
    assert answer.status_code in (200, 201)
    assert answer.json["title"] == "mine", "it says what he himself has written"
    address = answer.headers.get("Location", url)
    assert [client.get(address).json["title"] for _ in range(2)] == ["theirs"] * 2


@pytest.mark.parametrize("place", [(warming, "_get"), (posts, "one")], ids=["the asking", "the service"])
def test_a_fault_of_the_warming_leaves_the_answer_as_it_is(place, hers, client, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(*place, lambda *_: 1 / 0)
        answer = hers.post("/api/v1/posts", json=NEW)
    assert (answer.status_code, answer.json["title"]) == (201, "mine")
    assert answer.headers["Location"] == f"/api/v1/posts/{answer.json['id']}"
    assert "ZeroDivisionError" in caplog.text
    assert client.get(answer.headers["Location"]).json == answer.json


def test_the_warming_is_a_request_of_its_own(hers, monkeypatch):
    """It sees nothing of the write but its token."""
    seen, dispatch = [], Flask.full_dispatch_request

    def noting(app):
        if request.method == "GET":
            seen.append((vars(g._get_current_object()).copy(), sorted(request.headers.keys()), request.get_data()))
        return dispatch(app)

    monkeypatch.setattr(Flask, "full_dispatch_request", noting)
    hers.post("/api/v1/posts", json=NEW, headers={"Cookie": "a=b", "X-Fields": "{title}"})
    assert seen == [({}, ["Authorization", "Host"], b"")]


def test_without_redis_a_write_is_answered_and_warms_its_own_process(hers, client, app, monkeypatch):
    broken = SimpleNamespace(get=lambda *_: 1 / 0, set=lambda *_, **__: 1 / 0)
    monkeypatch.setitem(app.extensions["cache"], cache, broken)
    answer = hers.post("/api/v1/posts", json=NEW)
    assert answer.status_code == 201
    assert "detail=near" in client.get(answer.headers["Location"]).headers["Cache-Status"]


def test_the_write_holds_no_connection_while_it_warms(app, hers, monkeypatch):
    """The pool has one for each thread: two at once for each would make them wait for each other."""
    held, one, create = [], posts.one, posts.create

    def reading_once_more(*arguments, **data):
        post = create(*arguments, **data)
        db.session.execute(text("SELECT 1"))
        return post

    monkeypatch.setattr(posts, "create", reading_once_more)

    def counted(id):
        post = one(id)
        held.append(db.engine.pool.checkedout())
        return post

    monkeypatch.setattr(posts, "one", counted)
    hers.post("/api/v1/posts", json=NEW)
    assert held == [1]


def test_what_one_process_wrote_is_a_hit_in_the_other(server, alice, token_of):
    headers = {"Authorization": f"Bearer {token_of(alice)}", "Content-Type": "application/json"}

    def ask(method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    details = set()
    for _ in range(30):
        written = ask("POST", "/api/v1/posts", json.dumps(NEW))
        assert written.status == 201
        status = ask("GET", written.headers["Location"]).headers["Cache-Status"]
        assert "; hit;" in status
        details.add(status.rpartition("; ")[2])
        if details == {"detail=near", "detail=far"}:
            return
    raise AssertionError(f"the other process was never asked: {details}")
