"""v1's posts, as a frontend meets them."""

from __future__ import annotations


def test_a_post_that_is_written_can_be_read_at_its_location(make_user, as_user, client):
    alice = make_user()
    written = as_user(alice).post("/api/v1/posts", json={"title": "Hello", "content": "Words"})
    assert written.status_code == 201
    read = client.get(written.headers["Location"])
    assert read.json == written.json
    assert read.json["user_id"] == alice.id
    assert read.json["category"] == "general"


def test_the_second_read_is_a_hit_and_a_write_is_seen_at_once(make_user, make_post, as_user, client):
    alice = make_user()
    post = make_post(alice)
    url = f"/api/v1/posts/{post.id}"
    assert "stored" in client.get(url).headers["Cache-Status"]
    assert "hit" in client.get(url).headers["Cache-Status"]
    as_user(alice).put(url, json={"title": "New"})
    after = client.get(url)
    assert after.json["title"] == "New"
    assert "fwd=stale" in after.headers["Cache-Status"]
