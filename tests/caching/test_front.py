"""The front answers hits before Flask is entered: what it must tell apart, and what must never reach it (CACHE.md)."""

from __future__ import annotations

import gzip
from itertools import pairwise
from urllib.parse import quote

import brotli
import pytest
from flask import Response

from app.caching import POSTS as POST_TAG
from app.caching import cache
from tests.factories import PASSWORD

POSTS, TODOS, USERS = "/api/v2/posts", "/api/v2/todos", "/api/v2/admin/users"
LONG = "The quick brown fox jumps over the lazy dog. " * 40


@pytest.fixture
def alice(make_user):
    return make_user()


@pytest.fixture
def post(alice, make_post):
    return make_post(alice, content=LONG)


@pytest.fixture
def entered(app, monkeypatch):
    """The paths of the requests that went into Flask."""
    paths = []
    app.before_request_funcs.setdefault(None, []).append(lambda: paths.append(_path()) or None)
    yield paths
    app.before_request_funcs[None].pop()


def _path():
    from flask import request

    return request.path


@pytest.fixture
def warm(client, entered, post, coherence):
    """warm(path, **how): asked until it is a hit that Flask never saw; the hit."""

    def ask(path=POSTS, **how):
        coherence.check_now()  # else its time might come just now, and the hit go through Flask
        client.get(path, **how)
        entered.clear()
        hit = client.get(path, **how)
        assert entered == []
        assert "; hit;" in hit.headers["Cache-Status"]
        assert hit.headers["Cache-Status"].endswith("detail=near")
        return hit

    return ask


def test_a_hit_never_enters_flask(warm):
    assert warm().json["items"][0]["content"] == LONG


def test_a_hit_is_what_was_computed_but_for_what_is_of_the_one_request(client, post, warm):
    computed = client.get(POSTS)
    hit = warm()
    its_own = ("Cache-Status", "X-Request-ID")
    assert hit.data == computed.data
    assert {n: v for n, v in hit.headers if n not in its_own} == {n: v for n, v in computed.headers if n not in its_own}
    assert hit.headers["X-Request-ID"] != computed.headers["X-Request-ID"]


def test_head_is_a_hit_without_a_body(client, entered, warm):
    hit = warm()
    head = client.head(POSTS)
    assert entered == []
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(hit.data)))


def test_who_has_it_gets_a_304(client, entered, warm):
    tag = warm(headers={"If-None-Match": '"other"'}).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = client.get(POSTS, headers={"If-None-Match": known})
        assert (answer.status_code, answer.data) == (304, b""), known
        assert answer.headers["ETag"] == tag
        assert "Content-Type" not in answer.headers
    assert entered == []
    assert client.get(POSTS, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_write_ends_the_304(client, warm, sql):
    tag = warm().headers["ETag"]
    sql("UPDATE posts SET title = 'new'")
    answer = client.get(POSTS, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json["items"][0]["title"]) == (200, "new")


CODINGS = {"br": brotli.decompress, "gzip": gzip.decompress}


@pytest.mark.parametrize("coding", CODINGS)
def test_what_a_client_takes_is_packed_under_a_tag_of_its_own(client, warm, coding):
    plain = warm()
    packed = warm(headers={"Accept-Encoding": coding})
    assert packed.headers["Content-Encoding"] == coding
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data) / 2
    assert CODINGS[coding](packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        again = client.get(POSTS, headers={"Accept-Encoding": coding, "If-None-Match": tag})
        assert (again.status_code, again.headers["ETag"]) == (304, packed.headers["ETag"])


ENCODINGS = {
    "": None,
    "identity": None,
    "gzip": "gzip",
    "br, gzip": "br",
    "gzip, br": "br",
    "*": "br",
    "br;q=0, gzip": "gzip",
    "gzip;q=0": None,
    "zstd": None,
    "GZIP": "gzip",
    "gzip;q=nonsense, \x00": None,
}


@pytest.mark.parametrize(("said", "coding"), ENCODINGS.items())
def test_a_coding_is_taken_as_accept_encoding_says(client, warm, said, coding):
    warm()
    assert client.get(POSTS, headers={"Accept-Encoding": said}).headers.get("Content-Encoding") == coding


def test_a_small_answer_stays_as_it_is(client, warm, sql):
    sql("DELETE FROM posts")
    assert "Content-Encoding" not in warm(headers={"Accept-Encoding": "br"}).headers


def test_the_tag_of_a_packed_answer_is_good_for_a_conditional_write(as_user, alice, post):
    hers = as_user(alice, "v2")
    detail = f"{POSTS}/{post.id}"
    tag = hers.get(detail, headers={"Accept-Encoding": "gzip"}).headers["ETag"]
    assert hers.patch(detail, json={"title": "new"}, headers={"If-Match": tag}).status_code == 200
    assert hers.patch(detail, json={"title": "newer"}, headers={"If-Match": tag}).status_code == 412


def test_each_spelling_of_a_query_is_found_and_all_are_one_entry(client, coherence, entered, warm):
    hits = [
        warm(f"{POSTS}?{query}") for query in ("limit=5&sort=-title", "sort=-title&limit=5", "limit=05&sort=-title")
    ]
    assert len({hit.headers["ETag"] for hit in hits}) == 1
    assert (
        len(
            [
                entry
                for entry in coherence.near
                if "v2-posts_post_list" in entry.key and entry.key.endswith(":limit=5&sort=-title")
            ]
        )
        == 1
    )


def test_what_is_refused_is_refused_each_time(client, warm):
    warm()
    for _ in range(3):
        assert client.get(f"{POSTS}?limit=many").status_code == 422
        assert client.get(f"{POSTS}?nonsense=1").status_code == 422


def test_a_private_hit_is_its_owners_alone(client, as_user, alice, make_user, make_todo, entered, warm):
    bob = make_user()
    for user in (alice, bob):
        make_todo(user, task=f"secret of {user.username}")
    hers, his = as_user(alice, "v2"), as_user(bob, "v2")
    for _ in range(3):
        for user, client_of in ((alice, hers), (bob, his)):
            answer = client_of.get(TODOS)
            assert [item["task"] for item in answer.json["items"]] == [f"secret of {user.username}"]
            assert answer.headers["Cache-Control"] == "private, no-cache"
        assert client.get(TODOS).status_code == 401
    entered.clear()
    assert [c.get(TODOS).status_code for c in (hers, his)] == [200, 200]
    assert entered == [], "both are hits of the front"


def test_an_ended_session_ends_the_private_hit(as_user, alice, make_todo, entered, sql):
    make_todo(alice)
    hers = as_user(alice, "v2")
    for _ in range(2):
        hers.get(TODOS)
    entered.clear()
    assert hers.get(TODOS).status_code == 200
    assert entered == []
    sql("UPDATE sessions SET revoked_at = created_at")
    assert hers.get(TODOS).status_code == 401


def test_what_stands_behind_a_stricter_guard_always_goes_through_it(as_user, make_user, entered):
    admin = as_user(make_user(role="admin"), "v2")
    for _ in range(3):
        assert admin.get(USERS).status_code == 200
    assert entered == [USERS] * 3


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "X-Forwarded-Host", "X-Fields", "Accept", "Range"])
def test_no_header_makes_another_public_answer(client, warm, header):
    hit = warm()
    for value in ("Bearer nonsense", "{id}", "application/xml", "bytes=0-1", "evil.example"):
        again = client.get(POSTS, headers={header: value})
        assert (again.status_code, again.data) == (200, hit.data)


def test_a_host_that_is_not_ours_gets_no_hit(client, warm):
    warm()
    assert client.get(POSTS, headers={"Host": "evil.example"}).status_code == 400


def test_headers_beyond_the_bounds_get_no_hit(client, warm):
    warm()
    assert client.get(POSTS, headers={"X-Long": "x" * 10_000}).status_code == 431
    assert client.get(POSTS, headers={f"X-{'n' * 17_000}": "x"}).status_code == 431


def test_a_request_id_that_was_given_comes_back_and_others_differ(client, warm):
    warm()
    assert client.get(POSTS, headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"
    forged = client.get(POSTS, headers={"X-Request-ID": "a b"}).headers["X-Request-ID"]
    ids = [forged, *(client.get(POSTS).headers["X-Request-ID"] for _ in range(5))]
    assert all(one != other for one, other in pairwise(ids))
    assert forged != "a b"


def test_an_entry_ends_with_its_lifetime_for_the_front_too(client, warm, coherence, monkeypatch):
    from app.caching import front

    warm()
    later = max(entry.expires_at for entry in coherence.near) + 1
    monkeypatch.setattr(front.time, "time", lambda: later)
    assert "; hit;" not in client.get(POSTS).headers["Cache-Status"]


def test_when_the_triggers_are_not_as_they_should_be_nothing_is_a_hit(client, warm, coherence, monkeypatch):
    warm()
    monkeypatch.setattr(coherence, "_sound", False)
    assert "; hit;" not in client.get(POSTS).headers["Cache-Status"]


def test_a_post_by_an_awkward_name_is_found(client, as_user, alice, warm):
    name = "Größe & Maß/100 %"
    hers = as_user(alice, "v2")
    assert hers.post(POSTS, json={"title": name, "content": LONG, "category": name[:20]}).status_code == 201
    hit = warm(f"{POSTS}?category={quote(name[:20])}")
    assert [item["title"] for item in hit.json["items"]] == [name]


def test_login_and_other_writes_are_never_hits(client, alice, warm):
    warm()
    credentials = {"username": alice.username, "password": PASSWORD}
    assert client.post("/api/v1/users/login", json=credentials).status_code == 200
    assert client.open(POSTS, method="OPTIONS").status_code in (200, 204, 405)


@pytest.mark.parametrize("option", ["unless", "make_cache_key"])
def test_where_a_function_decides_it_is_asked_each_time(app, coherence, option):
    """It may look at whatever it likes in the request."""
    asked = []

    def decide(**_):
        asked.append(option)
        return "" if option == "unless" else "variant"

    class Things:
        @cache.cached(tags=POST_TAG, **{option: decide})
        def get(self):
            return Response(b"{}", mimetype="application/json")

    coherence.addresses.clear()
    for _ in range(3):
        with app.test_request_context(POSTS):
            assert Things().get().status_code == 200
    assert len(asked) == 3
    assert len(coherence.addresses) == 0
    plain = cache.cached(tags=POST_TAG)(lambda _: Response(b"{}", mimetype="application/json"))
    with app.test_request_context(POSTS):
        plain(None)
    assert len(coherence.addresses) == 1, "the control"
