"""`If-Match` and `Idempotency-Key` (API.md, «Everywhere»)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.services import posts

POST = {"title": "Once", "content": "Words"}


def test_a_write_under_the_etag_that_was_read_is_done(client, as_user, make_user, make_post):
    alice = make_user()
    url = f"/api/v1/posts/{make_post(alice).id}"
    etag = client.get(url).headers["ETag"]
    assert as_user(alice).put(url, json={"title": "New"}, headers={"If-Match": etag}).status_code == 200
    assert as_user(alice).put(url, json={"title": "Newer"}, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_write_to_a_post_that_has_moved_on_is_412_and_changes_nothing(client, as_user, make_user, make_post, method):
    alice = make_user()
    url = f"/api/v1/posts/{make_post(alice).id}"
    etag = client.get(url).headers["ETag"]
    as_user(alice).put(url, json={"title": "Somebody was faster"})
    late = getattr(as_user(alice), method)(url, json={"title": "Late"}, headers={"If-Match": etag})
    assert late.status_code == 412
    assert late.json["error"] == "Precondition Failed"
    assert client.get(url).json["title"] == "Somebody was faster"


def test_a_write_to_a_user_that_has_moved_on_is_412(client, as_user, make_user):
    alice = make_user()
    url = f"/api/v1/users/{alice.id}"
    etag = client.get(url).headers["ETag"]
    assert as_user(alice).put(url, json={"username": "alicia"}, headers={"If-Match": etag}).status_code == 200
    assert as_user(alice).put(url, json={"username": "alison"}, headers={"If-Match": etag}).status_code == 412


@pytest.mark.parametrize("header", ["", "x y", ",", '"', 'W/"weak"', '"other"'])
def test_an_if_match_that_names_no_state_of_the_post_is_412(as_user, make_user, make_post, header):
    """Also one that cannot be read: a caller who asked for a condition never gets an unconditional write."""
    alice = make_user()
    url = f"/api/v1/posts/{make_post(alice).id}"
    assert as_user(alice).put(url, json={"title": "New"}, headers={"If-Match": header}).status_code == 412


def test_of_two_writers_under_one_etag_one_wins(server, client, token_of, make_user, make_post):
    import requests

    alice = make_user()
    url = f"/api/v1/posts/{make_post(alice).id}"
    headers = {"If-Match": client.get(url).headers["ETag"], "Authorization": f"Bearer {token_of(alice)}"}

    def put(n):
        return requests.put(server.url + url, json={"title": f"writer {n}"}, headers=headers, timeout=20).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(put, range(6))) == [200] + [412] * 5


def test_a_post_that_is_sent_twice_under_a_key_is_written_once(as_user, make_user, sql):
    client = as_user(make_user())
    first, second = (client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert sql("SELECT count(*) FROM posts")[0][0] == 1
    assert sql("SELECT count(*) FROM outbox")[0][0] == 4, "author, followers, admins and webhooks hear of it once"


def test_another_body_under_the_same_key_is_refused(as_user, make_user, sql):
    client = as_user(make_user())
    client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"})
    other = client.post("/api/v1/posts", json=POST | {"title": "Other"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 400
    assert list(other.json["errors"]) == ["Idempotency-Key"]
    assert sql("SELECT count(*) FROM posts")[0][0] == 1


def test_another_user_may_use_the_same_key(as_user, make_user):
    ids = {
        as_user(make_user()).post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"}).json["id"] for _ in "ab"
    }
    assert len(ids) == 2


def test_a_request_that_failed_may_be_sent_again_under_its_key(as_user, make_user, monkeypatch):
    """Its answer is kept exactly if its write is: what was rolled back may be tried again."""
    client = as_user(make_user())
    emit = posts.emit
    monkeypatch.setattr(posts, "emit", lambda event: 1 / 0)
    assert client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"}).status_code == 500
    monkeypatch.setattr(posts, "emit", emit)
    again = client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"})
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again.headers


def test_a_key_is_forgotten_after_a_day(as_user, make_user, sql):
    client = as_user(make_user())
    first = client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"})
    sql("UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00'")
    second = client.post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "k"})
    assert second.json["id"] != first.json["id"]


def test_a_key_of_odd_characters_is_refused_by_name(as_user, make_user):
    answer = as_user(make_user()).post("/api/v1/posts", json=POST, headers={"Idempotency-Key": "a b"})
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["Idempotency-Key"]


def test_twenty_at_once_under_one_key_write_one_post(server, token_of, make_user, sql):
    """The others get the same answer, or 409 while the first still runs."""
    import requests

    headers = {"Idempotency-Key": "k", "Authorization": f"Bearer {token_of(make_user())}"}

    def post(_):
        return requests.post(f"{server.url}/api/v1/posts", json=POST, headers=headers, timeout=20)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(post, range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert sql("SELECT count(*) FROM posts")[0][0] == 1
