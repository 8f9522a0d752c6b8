"""`cache.cached()`: Flask-Caching's arguments, and what may be kept."""

from __future__ import annotations

import time
import uuid

import pytest
from flask import Response
from flask_caching import CachedResponse

from app.caching import POST, POSTS, cache
from app.caching.entry import LARGEST_BODY


@pytest.fixture
def ask(app):
    """ask(handler, **headers): the answer of a decorated handler, as of a request for the posts' list."""

    def run(handler, path="/api/v1/posts", **arguments):
        with app.test_request_context(path):
            return handler(None, **arguments)

    return run


def handler_of(make_response, **options):
    """A cached handler under a name of its own, and the list of its runs."""
    runs = []
    options.setdefault("make_cache_key", lambda name=uuid.uuid4().hex, **_: name)

    @cache.cached(tags=options.pop("tags", POSTS), **options)
    def handler(resource, **arguments):
        runs.append(arguments)
        return make_response(len(runs))

    return handler, runs


def plain(number):
    return Response(f"{number}", mimetype="application/json")


def test_an_answer_is_computed_once(ask):
    handler, runs = handler_of(plain)
    assert [ask(handler).data for _ in range(3)] == [b"1"] * 3
    assert len(runs) == 1


def test_tags_must_be_said():
    """Default deny: what does not say what it depends on is not cached."""
    with pytest.raises(TypeError, match="tags"):
        cache.cached(timeout=60)


def test_a_singular_tag_must_say_which():
    with pytest.raises(ValueError, match="POST.of"):
        POST.resolve({})


def test_unless_goes_past_the_cache(ask):
    handler, runs = handler_of(plain, unless=lambda: True)
    assert [ask(handler).headers["Cache-Status"] for _ in range(2)] == ["broadsheet; fwd=bypass"] * 2
    assert len(runs) == 2


def test_response_filter_decides_what_is_kept(ask):
    handler, runs = handler_of(plain, response_filter=lambda response: response.data == b"2")
    assert [ask(handler).data for _ in range(4)] == [b"1", b"2", b"2", b"2"]


def test_make_cache_key_names_the_variant(ask):
    prefix = uuid.uuid4().hex
    handler, runs = handler_of(plain, make_cache_key=lambda id: f"{prefix}:{id % 2}")
    assert [ask(handler, id=id).data for id in (1, 3, 2, 4)] == [b"1", b"1", b"2", b"2"]


@pytest.mark.parametrize(
    ("options", "make_response"),
    [
        ({"timeout": 1}, plain),
        ({"timeout": 60}, lambda n: CachedResponse(plain(n), timeout=1)),
    ],
    ids=["the decorator's timeout", "the answer's own timeout wins"],
)
def test_an_entry_ends_with_its_timeout(ask, monkeypatch, options, make_response):
    handler, runs = handler_of(make_response, **options)
    ask(handler)
    ask(handler)
    assert len(runs) == 1
    later = time.time() + 1.5
    monkeypatch.setattr(time, "time", lambda: later)
    ask(handler)
    assert len(runs) == 2


@pytest.mark.parametrize(
    "make_response",
    [
        lambda n: Response("gone", 404),
        lambda n: Response("moved", 302, {"Location": "/"}),
        lambda n: Response("limit", 429),
        lambda n: Response("fault", 503),
        lambda n: Response("cookie", headers={"Set-Cookie": "a=b"}),
        lambda n: Response(iter([b"a", b"b"])),
        lambda n: Response(b"x" * (LARGEST_BODY + 1)),
    ],
    ids=["404", "a redirect", "429", "503", "Set-Cookie", "a stream", "a body too large"],
)
def test_what_is_never_kept(ask, make_response):
    handler, runs = handler_of(make_response)
    for _ in range(2):
        ask(handler)
    assert len(runs) == 2


def test_the_fill_sees_neither_token_nor_cookie_nor_any_header_of_the_request(app):
    """CACHE.md, «Who is asking»: a view cannot leak what it cannot see."""
    from flask import g, request

    seen = []

    def spy(number):
        seen.append((dict(request.headers), dict(request.cookies), g.get("user"), request.args.to_dict()))
        return plain(number)

    handler, _ = handler_of(spy)
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Fields": "{title}", "X-Forwarded-Host": "evil.example"}
    with app.test_request_context("/api/v1/posts?junk=1", headers=headers):
        g.user = "somebody"
        handler(None)
    ((sent, cookies, user, arguments),) = seen
    assert sent == {"Host": "localhost"}
    assert cookies == {}
    assert user is None
    assert "junk" not in arguments


def test_a_near_entry_has_an_etag_and_asks_to_be_validated(client, make_user):
    make_user()
    answer = client.get("/api/v1/users")
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Cache-Control"] == "public, no-cache"
    assert answer.headers["Age"] == "0"


def test_if_none_match_gives_304_from_the_entry_until_it_is_stale(client, make_user):
    make_user()
    etag = client.get("/api/v1/users").headers["ETag"]
    same = client.get("/api/v1/users", headers={"If-None-Match": f'"other", {etag}'})
    assert same.status_code == 304
    assert same.data == b""
    assert same.headers["ETag"] == etag
    assert "; hit;" in same.headers["Cache-Status"]
    make_user()
    assert client.get("/api/v1/users", headers={"If-None-Match": etag}).status_code == 200


def test_if_modified_since_is_not_trusted(client, make_user, make_post):
    """It counts in seconds: two states of one second would look alike."""
    post = make_post(make_user())
    url = f"/api/v1/posts/{post.id}"
    modified = client.get(url).headers["Last-Modified"]
    assert client.get(url, headers={"If-Modified-Since": modified}).status_code == 200


def test_head_answers_as_get_does(client, make_user):
    make_user()
    got, head = client.get("/api/v1/users"), client.head("/api/v1/users")
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(got.data))
    assert head.headers["ETag"] == got.headers["ETag"]


def test_order_defaults_and_noise_of_a_query_share_one_entry(client, make_user, make_post):
    """The key is made of validated arguments (TRAPS 10)."""
    make_post(make_user(), category="news")
    client.get("/api/v1/posts?category=news&page=1")
    for query in ("page=1&category=news", "category=news", "category=news&per_page=20&utm=1", "_=17&category=news"):
        assert "; hit;" in client.get(f"/api/v1/posts?{query}").headers["Cache-Status"], query


def test_ten_thousand_unknown_parameters_make_no_entry(app, make_user, coherence):
    make_user()
    client = app.test_client()
    client.get("/api/v1/users")
    before = len(coherence.near)
    for n in range(100):
        client.get(f"/api/v1/users?junk{n}={n}")
    assert len(coherence.near) == before


def test_both_spellings_of_an_address_share_one_entry(client, make_user):
    make_user()
    client.get("/api/v1/users")
    assert "; hit;" in client.get("/api/v1/users/").headers["Cache-Status"]


def test_memoize_and_delete_memoized_work_as_flask_caching_says(app):
    calls = []

    @cache.memoize(60)
    def double(n):
        calls.append(n)
        return n * 2

    with app.app_context():
        assert [double(2), double(2), double(3)] == [4, 4, 6]
        assert calls == [2, 3]
        cache.delete_memoized(double, 2)
        assert [double(2), double(3)] == [4, 6]
        assert calls == [2, 3, 2]
