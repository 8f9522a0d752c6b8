"""`flask posts …`: what was deleted by mistake comes back."""

from __future__ import annotations

import pytest


@pytest.fixture
def titles(client):
    return lambda: sorted(post["title"] for post in client.get("/api/v1/posts").json)


def test_restore_brings_back_what_an_admin_has_emptied(run, make_user, make_post, as_user, titles, client):
    alice = make_user()
    post = make_post(alice, title="one")
    make_post(alice, title="two")
    assert titles() == ["one", "two"]
    as_user(make_user(role="admin")).delete("/api/v1/posts/all")
    assert titles() == []
    assert client.get(f"/api/v1/posts/{post.id}").status_code == 404
    assert run("posts", "restore") == "2 posts are back\n"
    assert titles() == ["one", "two"]
    assert client.get(f"/api/v1/posts/{post.id}").json["title"] == "one"


def test_what_was_deleted_longer_ago_stays_where_it_is(run, make_user, make_post, sql, titles):
    alice = make_user()
    make_post(alice, title="long ago")
    sql("UPDATE posts SET deleted_at = '2020-01-01 00:00:00'")
    make_post(alice, title="just now")
    sql("UPDATE posts SET deleted_at = updated_at WHERE title = 'just now'")
    assert run("posts", "restore", "--hours", "1") == "1 posts are back\n"
    assert titles() == ["just now"]


def test_posts_of_a_deleted_user_stay_in_the_trash_with_him(run, make_user, make_post, as_user, titles):
    alice = make_user()
    make_post(alice)
    as_user(make_user(role="admin")).delete(f"/api/v1/users/{alice.id}")
    assert run("posts", "restore") == "0 posts are back\n"
    assert titles() == []
