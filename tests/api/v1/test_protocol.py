"""What HTTP asks of v1's reads: validators, HEAD, both forms of a URL, methods (API.md; RFC 9110)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

POSTS = "/api/v1/posts"
NEW = {"title": "Hello", "content": "Words"}


def test_a_read_carries_what_caches_and_clients_need(alice, make_post, client):
    answer = client.get(f"{POSTS}/{make_post(alice).id}")
    assert re.fullmatch(r'"[0-9a-f]+"', answer.headers["ETag"])
    assert answer.headers["Cache-Control"] == "public, no-cache"
    assert (answer.headers["Age"], answer.headers["Vary"]) == ("0", "Accept-Encoding")
    assert abs((datetime.now(UTC) - answer.last_modified).total_seconds()) < 5
    assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["", "/{id}"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_the_current_answer_gets_304_without_a_body(alice, make_post, client, path, form):
    url = POSTS + path.format(id=make_post(alice).id)
    etag = client.get(url).headers["ETag"]
    answer = client.get(url, headers={"If-None-Match": form.format(etag)})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)


def test_who_has_an_old_answer_gets_the_new_one(alice, hers, make_post, client):
    url = f"{POSTS}/{make_post(alice).id}"
    etag = client.get(url).headers["ETag"]
    hers.put(url, json={"title": "new"})
    answer = client.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json["title"]) == (200, "new")
    assert answer.headers["ETag"] != etag


@pytest.mark.parametrize("path", ["", "/{id}", "/4711"])
def test_head_answers_as_get_does_without_the_body(alice, make_post, client, path):
    url = POSTS + path.format(id=make_post(alice).id)
    get, head = client.get(url), client.head(url)
    own = {"Cache-Status", "X-Request-ID", "Date"}
    assert head.status_code == get.status_code
    assert head.data == b""
    assert {k: v for k, v in head.headers if k not in own} == {k: v for k, v in get.headers if k not in own}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_list_answers_alike_with_a_trailing_slash(hers, method):
    plain, slashed = (hers.open(url, method=method, json=NEW) for url in (POSTS, f"{POSTS}/"))
    assert plain.status_code == slashed.status_code == (201 if method == "POST" else 200)
    assert "/posts/" in slashed.headers.get("Location", "/posts/")
    assert "//" not in slashed.headers.get("Location", "")


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("PUT", 200), ("DELETE", 200)])
def test_a_post_answers_with_a_trailing_slash(alice, hers, make_post, method, status):
    assert hers.open(f"{POSTS}/{make_post(alice).id}/", method=method, json={}).status_code == status


def test_delete_all_answers_with_a_trailing_slash(as_user, make_user):
    assert as_user(make_user(role="admin")).delete(f"{POSTS}/all/").json["count"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/1", {"DELETE", "GET", "HEAD", "OPTIONS", "PUT"}),
        ("GET", "/all", {"DELETE", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_there_is_405_and_says_which_are(client, method, path, allowed):
    answer = client.open(POSTS + path, method=method)
    assert (answer.status_code, answer.json["error"]) == (405, "Method Not Allowed")
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == allowed


def test_a_url_that_is_not_there_is_json(client):
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.json["error"]) == (404, "Not Found")
