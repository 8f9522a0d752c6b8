"""How much one user may write (HARDENING E12)."""

from __future__ import annotations

import re

import pytest

POSTS = "/api/v1/posts"
NEW = {"title": "Hello", "content": "Words"}


@pytest.fixture
def three_a_minute(app, monkeypatch):
    monkeypatch.setitem(app.config, "WRITES_PER_MINUTE", 3)


def test_who_writes_too_much_is_told_when_to_go_on(three_a_minute, hers, sql):
    statuses = [hers.post(POSTS, json=NEW).status_code for _ in range(5)]
    assert statuses == [201, 201, 201, 429, 429]
    answer = hers.post(POSTS, json=NEW)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert answer.json["error"] == "Too Many Requests"
    assert sql("SELECT count(*) FROM posts") == [(3,)]


def test_a_limit_binds_the_user_whatever_session_he_writes_in(three_a_minute, alice, as_user):
    assert [as_user(alice).post(POSTS, json=NEW).status_code for _ in range(4)][-1] == 429


def test_a_limit_of_one_user_does_not_bind_another(three_a_minute, hers, as_user, make_user):
    for _ in range(4):
        hers.post(POSTS, json=NEW)
    assert as_user(make_user()).post(POSTS, json=NEW).status_code == 201


def test_who_may_not_write_any_more_may_still_read(three_a_minute, hers):
    for _ in range(4):
        hers.post(POSTS, json=NEW)
    assert hers.get(POSTS).status_code == 200


def test_a_write_says_how_many_are_left(three_a_minute, hers):
    left = [hers.post(POSTS, json=NEW).headers["RateLimit"] for _ in range(2)]
    assert [re.match(r'"writes";r=(\d+);t=\d+$', header)[1] for header in left] == ["2", "1"]


def test_a_guarded_read_is_not_counted(three_a_minute, hers):
    """It is a write's neighbour, at an address that needs a token: reads are free (HARDENING E12 is of writes)."""
    for answer in [hers.get("/api/v1/todos") for _ in range(10)] + [hers.head("/api/v1/todos")]:
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers
        assert "RateLimit-Policy" not in answer.headers
    assert hers.post(POSTS, json=NEW).headers["RateLimit"].startswith('"writes";r=2;')
