"""A draft is its author's alone until he publishes it."""

from __future__ import annotations

import pytest

DRAFT = {"title": "Not yet", "content": "Words to come.", "category": "plans", "tags": ["later"], "draft": True}


@pytest.fixture
def alice(make_user):
    return make_user()


@pytest.fixture
def hers(as_user, alice):
    return as_user(alice, "v2")


@pytest.fixture
def draft(hers):
    answer = hers.post("/api/v2/posts", json=DRAFT)
    assert answer.status_code == 201
    return answer.json


def test_nobody_else_sees_a_draft_anywhere(client, as_user, make_user, draft):
    """HARDENING E10."""
    other = as_user(make_user(role="admin"), "v2")
    for reader in (client, other):
        for address in (
            *("/api/v2/posts", "/api/v2/posts?tag=later", "/api/v2/posts?category=plans", "/api/v2/tags"),
            *("/api/v2/categories", "/api/v1/posts", "/api/v1/posts?category=plans"),
        ):
            assert "Not yet" not in (text := reader.get(address).text)
            assert "later" not in text
            assert "plans" not in text
        for version in ("v1", "v2"):
            assert reader.get(f"/api/{version}/posts/{draft['id']}").status_code == 404
    assert client.get("/api/v2/posts?total=true").json["page"]["total"] == 0
    assert other.get("/api/v2/posts/drafts").json["items"] == []


def test_another_is_told_that_there_is_nothing_to_change(as_user, make_user, draft):
    """HARDENING E2: 404, as for an id that was never given."""
    other = as_user(make_user(), "v2")
    url = f"/api/v2/posts/{draft['id']}"
    assert other.patch(url, json={"title": "Mine"}).status_code == 404
    assert other.delete(url).status_code == 404


def test_its_author_finds_it_among_his_drafts(hers, draft):
    assert hers.get("/api/v2/posts/drafts").json["items"] == [draft]


def test_nobody_is_told_of_a_draft_but_of_its_publication(hers, draft, sql):
    assert sql("SELECT count(*) FROM outbox")[0][0] == 0
    assert hers.patch(f"/api/v2/posts/{draft['id']}", json={"draft": False}).status_code == 200
    assert sql("SELECT DISTINCT event FROM outbox") == [("PostPublished",)]
    assert hers.patch(f"/api/v2/posts/{draft['id']}", json={"draft": False}).status_code == 200
    assert len(sql("SELECT subscriber FROM outbox WHERE subscriber = 'notify_author'")) == 1, "told once"


def test_publishing_shows_it_at_once_dated_now(hers, client, draft, make_post, alice):
    make_post(alice, title="Between")
    assert "Not yet" not in client.get("/api/v2/posts").text
    published = hers.patch(f"/api/v2/posts/{draft['id']}", json={"draft": False}).json
    assert published["published_at"] > draft["published_at"]
    assert [post["title"] for post in client.get("/api/v2/posts").json["items"]] == ["Not yet", "Between"]
    assert client.get(f"/api/v1/posts/{draft['id']}").json["title"] == "Not yet"


def test_a_post_can_be_taken_back_to_the_drafts(hers, client, make_post, alice):
    post = make_post(alice)
    client.get(f"/api/v2/posts/{post.id}")
    assert hers.patch(f"/api/v2/posts/{post.id}", json={"draft": True}).status_code == 200
    assert client.get(f"/api/v2/posts/{post.id}").status_code == 404
    assert [each["id"] for each in hers.get("/api/v2/posts/drafts").json["items"]] == [post.id]
