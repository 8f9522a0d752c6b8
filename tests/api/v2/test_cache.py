"""/api/v2/admin/cache: what the cache is doing, what a write would make stale, and how to make it so."""

from __future__ import annotations

import pytest

from tests.conftest import BACKEND

CACHE, POSTS = "/api/v2/admin/cache", "/api/v2/posts"


@pytest.fixture
def alice(make_user):
    return make_user()


@pytest.fixture
def admin(as_user, make_user):
    return as_user(make_user(role="admin"), "v2")


def status(client, url):
    return client.get(url).headers["Cache-Status"].partition(";")[2].strip()


def warm(client, *urls):
    for url in urls:
        for _ in range(2):
            client.get(url)
        assert status(client, url).startswith("hit")


def effects(admin, **write):
    answer = admin.get(f"{CACHE}/effects", query_string=write)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_it_says_what_is_kept_near_and_far(admin, client, coherence, make_post, alice):
    make_post(alice)
    coherence.near.clear()
    assert admin.get(CACHE).json["near"]["entries"] == 0
    warm(client, POSTS)
    state = admin.get(CACHE).json
    assert state["near"]["entries"] == 1
    assert len(client.get(POSTS).data) < state["near"]["bytes"] < state["near"]["most_bytes"]
    assert (state["far"]["backend"], state["far"]["answers"]) == ("RedisCache", True)
    assert state["far"]["entries"] >= 1
    assert state["far"]["bytes"] > 0
    assert state["faults"] == []


def test_it_says_how_often_each_route_was_a_hit(admin, client, make_post, alice):
    def asked():
        routes = {route["route"]: route for route in admin.get(CACHE).json["routes"]}
        return routes.get("/api/v2/posts/<int:id>", {"requests": 0, "hits": 0})

    url, before = f"{POSTS}/{make_post(alice).id}", asked()
    for _ in range(4):
        client.get(url)
    after = asked()
    assert (after["requests"] - before["requests"], after["hits"] - before["hits"]) == (4, 3)
    assert after["hit_ratio"] == round(after["hits"] / after["requests"], 4)


def test_it_says_what_is_wrong_with_the_triggers(app, admin, sql):
    sql("DROP TRIGGER cache_posts_insert" + (" ON posts" if BACKEND == "postgresql" else ""))
    try:
        assert admin.get(CACHE).json["faults"] == ["the trigger cache_posts_insert is missing"]
    finally:
        app.test_cli_runner().invoke(args=["cache", "install"])


def test_no_cache_keeps_what_it_says(admin):
    assert admin.get(CACHE).headers["Cache-Control"] == "no-store"


EFFECTS = {
    "a title": ({"table": "posts", "columns": "title", "id": 17}, ["posts", "post:17"]),
    "a row nobody named": ({"table": "posts", "columns": "title"}, ["posts", "post:<posts.id>"]),
    "what nobody sees": ({"table": "users", "columns": "password_hash", "id": 3}, []),
    "a role": ({"table": "users", "columns": "role", "id": 3}, ["users", "user:3", "private:3", "session:3"]),
    "a todo": ({"table": "todos", "event": "insert"}, ["private:<todos.user_id>"]),
    "a table that nothing shows": ({"table": "outbox", "event": "delete"}, []),
}


@pytest.mark.parametrize(("write", "tags"), EFFECTS.values(), ids=EFFECTS)
def test_a_dry_run_names_the_tags(admin, write, tags):
    assert effects(admin, **write)["tags"] == tags


def test_a_dry_run_names_the_routes_that_depend_on_them(admin):
    routes = effects(admin, table="todos", event="insert")["routes"]
    assert {"/api/v1/todos", "/api/v2/todos", "/api/v2/me"} <= set(routes)
    assert not [route for route in routes if "posts" in route]


def test_a_dry_run_counts_what_the_database_deletes_along(admin):
    tags = effects(admin, table="users", event="delete", id=3)["tags"]
    assert {"user:3", "private:<todos.user_id>", "follow:<follows.follower_id>", "session:<sessions.user_id>"} <= set(
        tags
    )


def test_a_dry_run_is_dry(admin, client, make_post, alice):
    post = make_post(alice)
    warm(client, POSTS)
    effects(admin, table="posts", event="delete", id=post.id)
    assert status(client, POSTS).startswith("hit")


def test_a_dry_run_tells_the_truth(admin, client, sql, make_post, alice, app):
    """What it does not name stays a hit; what it names does not."""
    urls = {f"{POSTS}/{make_post(alice).id}": "/api/v2/posts/<int:id>", "/api/v2/users": "", POSTS: POSTS}
    urls = {url: rule or "/api/v2/users" for url, rule in urls.items() if client.get(url).status_code == 200}
    warm(client, *urls)
    named = effects(admin, table="posts", columns="title")["routes"]
    sql("UPDATE posts SET title = 'new'")
    for url, rule in urls.items():
        assert status(client, url).startswith("hit") == (rule not in named), url


WRONG = {
    "no table": ({}, "table"),
    "a strange table": ({"table": "passwords"}, "table"),
    "a strange column": ({"table": "posts", "columns": "title,colour"}, "columns"),
    "a strange event": ({"table": "posts", "event": "drop"}, "event"),
    "a strange id": ({"table": "posts", "id": "x"}, "id"),
}


@pytest.mark.parametrize(("write", "field"), WRONG.values(), ids=WRONG)
def test_a_dry_run_of_nonsense_is_refused_by_its_field(admin, write, field):
    answer = admin.get(f"{CACHE}/effects", query_string=write)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_purge_makes_stale_what_depends_on_the_tag_and_nothing_else(admin, client, make_post, alice):
    one, other = (f"{POSTS}/{make_post(alice).id}" for _ in range(2))
    warm(client, one, other, POSTS)
    answer = admin.post(f"{CACHE}/purge", json={"tags": [f"post:{one.rpartition('/')[2]}"]})
    assert (answer.status_code, answer.json["slots"]) == (200, 1)
    assert status(client, one).startswith("fwd=stale")
    assert status(client, other).startswith("hit")
    assert status(client, POSTS).startswith("hit")


def test_a_purge_of_a_family_makes_all_its_members_stale(admin, client, make_post, alice):
    urls = [f"{POSTS}/{make_post(alice).id}" for _ in range(2)]
    warm(client, *urls)
    assert admin.post(f"{CACHE}/purge", json={"tags": ["post"]}).status_code == 200
    assert all(status(client, url).startswith("fwd=stale") for url in urls)


def test_a_purge_tells_the_generations_from_now_on(admin):
    purge = {"tags": ["posts", "user:7"]}
    first, second = (admin.post(f"{CACHE}/purge", json=purge).json["generations"] for _ in range(2))
    assert first.keys() == second.keys() == {"posts", "user:7"}
    assert all(first[tag] != second[tag] for tag in first)


@pytest.mark.parametrize("tags", [[], ["nonsense"], ["posts:1"], ["post:x"], ["post:-1"], ["post:"], "posts", [1]])
def test_a_purge_of_nonsense_is_refused_and_nothing_moves(admin, client, tags, make_post, alice):
    make_post(alice)
    warm(client, POSTS)
    answer = admin.post(f"{CACHE}/purge", json={"tags": tags})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].startswith("tags")
    assert status(client, POSTS).startswith("hit")


def test_to_renew_makes_everything_stale(admin, client, make_post, alice):
    urls = [POSTS, f"{POSTS}/{make_post(alice).id}", "/api/v1/users"]
    warm(client, *urls)
    assert admin.post(f"{CACHE}/renew").status_code == 200
    assert all(status(client, url).startswith("fwd=stale") for url in urls)
