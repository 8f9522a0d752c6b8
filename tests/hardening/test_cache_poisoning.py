"""Nobody can make the cache answer another with what is not his (HARDENING G, public reads)."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.caching import cache
from app.caching.entry import etag_of
from app.caching.far import Breaker
from app.services import posts
from tests.hardening.answers import assert_refused
from tests.hardening.wire import exchange, request

OF_THE_MOMENT = {"Cache-Status", "Date", "X-Request-ID", "Age"}
ODD_HEADERS = (
    {"X-Fields": "{title}"},
    {"X-Fields": "title"},
    {"Accept": "text/html"},
    {"Accept": "application/xml"},
    {"Accept": "application/json;q=0"},
    {"Accept-Language": "de"},
    {"Accept-Charset": "utf-16"},
    {"Accept-Encoding": "gzip, br"},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Forwarded-Port": "1"},
    {"X-Forwarded-For": "1.2.3.4"},
    {"X-Original-URL": "/api/v1/users"},
    {"X-Rewrite-URL": "/api/v1/users"},
    {"X-HTTP-Method-Override": "DELETE"},
    {"X-HTTP-Method": "PUT"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"Host": "127.0.0.1"},
    {"Host": "localhost:1"},
    {"Host": "LOCALHOST"},
    {"Origin": "https://evil.example"},
    {"Cookie": "session=x; user=1"},
    {"Authorization": "Bearer x"},
    {"Range": "bytes=0-1"},
    {"Cache-Control": "no-cache"},
    {"Cache-Control": "only-if-cached"},
    {"Pragma": "no-cache"},
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"If-None-Match": '"x"'},
    {"If-Match": '"x"'},
    {"TE": "trailers"},
    {"Upgrade": "h2c", "Connection": "Upgrade"},
)


@pytest.fixture
def reads(make_user, make_post) -> list[str]:
    """Every cached GET of this slice, with something to show."""
    alice = make_user(username="alice")
    made = [make_post(alice, category=category) for category in ("news", "news", "general")]
    lists = ("/api/v1/users", "/api/v1/posts", "/api/v2/posts")
    pages = ("/api/v1/posts?page=2&per_page=1&category=news", "/api/v2/posts?limit=1&category=news")
    items = (f"/api/v1/users/{alice.id}", f"/api/v1/posts/{made[0].id}", f"/api/v2/posts/{made[0].id}")
    more = ("/api/v2/tags", "/api/v2/categories", "/api/v2/posts?include=author&fields=id,author&total=true")
    people = tuple(f"/api/v2/users/{alice.id}{rest}" for rest in ("", "/followers", "/following"))
    return [*lists, *pages, *items, *more, *people]


@pytest.fixture
def forget_near(coherence):
    """forget_near(): as in a process that has just started."""
    return coherence.near.clear


@pytest.fixture
def fresh_breaker(monkeypatch) -> None:
    """What Redis refuses in this test is forgotten after it."""
    monkeypatch.setattr(cache.cache, "_breaker", Breaker())


@pytest.fixture
def uncached(client, cache_redis, forget_near) -> Callable[..., Any]:
    """uncached(path, headers=…): the answer that no cache had a part in."""

    def get(path: str, **options: Any) -> Any:
        forget_near()
        cache_redis.client.flushall()
        answer = client.get(path, **options)
        assert "hit" not in answer.headers.get("Cache-Status", "")
        return answer

    return get


def said(answer: Any) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Status, body and headers, but for those that belong to the moment."""
    return answer.status_code, answer.data, sorted((n, v) for n, v in answer.headers if n not in OF_THE_MOMENT)


def test_g1_a_public_answer_is_the_same_bytes_for_everybody(reads, client, make_user, as_user, uncached):
    """In every order of who comes first."""
    people = {"nobody": client, "user": as_user(make_user()), "admin": as_user(make_user(role="admin"))}
    people["unknown"] = client.application.test_client()
    people["unknown"].environ_base["HTTP_AUTHORIZATION"] = "Bearer x"
    for path in reads:
        answers = []
        for first in people.values():
            uncached("/api/v1/users")
            answers += [said(first.get(path)), *(said(person.get(path)) for person in people.values())]
        assert all(answer == answers[0] for answer in answers), path
        assert dict(answers[0][2])["Cache-Control"] == "public, no-cache"


PRIVATE_READS = ("me", "todos", "todos/{todo}", "notifications", "notifications/unread", "posts/trash", "admin/users")
PRIVATE_READS += ("notifications/preferences", "notifications/mutes")


@pytest.mark.parametrize("path", PRIVATE_READS)
def test_g1_a_private_answer_is_shown_to_nobody_else(path, make_user, make_todo, as_user, client, uncached):
    """In every order of who comes first, cold and warm."""
    alice, other = make_user(username="alice", role="admin"), make_user(username="bob")
    url = f"/api/v2/{path}".format(todo=make_todo(alice, task="the secret of alice"))
    people = {"hers": as_user(alice, "v2"), "his": as_user(other, "v2"), "nobody": client}
    seen: dict[str, set[Any]] = {name: set() for name in people}
    for first in people:
        uncached("/api/v1/users")
        for name in (first, *people, *people):
            answer = people[name].get(url)
            seen[name].add((answer.status_code, answer.data if answer.status_code == 200 else b""))
            assert not answer.headers["Cache-Control"].startswith("public")
            assert name == "hers" or b"alice" not in answer.data
    assert all(len(answers) == 1 for answers in seen.values())
    assert [status for (status, _), *_ in map(list, seen.values())][::2] == [200, 401]


def test_g1_no_private_word_is_in_a_public_answer(make_user, client, reads, as_user):
    zelda = make_user(username="zelda", email="marker@example.org", mobile="+49 marker", birth="1993-08-23", age=33)
    as_user(zelda, "v2").put(f"/api/v2/users/{zelda.id - 1}/follow")
    hers = (f"/api/v1/users/{zelda.id}", f"/api/v2/users/{zelda.id}", "/api/v1/users?per_page=100")
    for path in (*reads, *hers):
        for person in (client, as_user(zelda)):
            text = person.get(path).get_data(as_text=True)
            assert not [word for word in ("marker", "1993-08-23", "password", "$2b$", '"age"') if word in text]


def test_g2_a_parameter_given_twice_has_no_order_to_differ_by(client, reads):
    posts = [("/api/v1/posts", "category"), ("/api/v1/posts", "page")]
    posts += [("/api/v2/posts", name) for name in ("category", "tag", "sort", "include", "fields", "published_after")]
    for path, name in (*posts, ("/api/v2/tags", "limit"), ("/api/v2/categories", "total")):
        for first, second in (("1", "2"), ("2", "1"), ("1", "1")):
            assert_refused(client.get(f"{path}?{name}={first}&{name}={second}"), path, 422, field=name)


def test_g2_the_order_of_parameters_makes_no_difference(client, reads):
    one = client.get("/api/v1/posts?category=news&per_page=1&page=2")
    for query in (
        "page=2&per_page=1&category=news",
        "per_page=1&category=news&page=2&junk=1",
        "page=2&per_page=1&category=n%65ws",
    ):
        other = client.get(f"/api/v1/posts?{query}")
        assert said(other) == said(one)
        assert "hit" in other.headers["Cache-Status"]


def test_g3_no_header_changes_what_others_are_answered(client, reads, uncached, subtests):
    """Each odd request cold and warm, and a plain one after it: as without any cache."""
    for path in (reads[0], reads[1], reads[2], reads[6], *reads[8:12]):
        plain = said(uncached(path))
        for headers in ODD_HEADERS:
            with subtests.test(path=path, headers=headers):
                odd = said(uncached(path, headers=headers))
                after = client.get(path)
                assert "hit" in after.headers["Cache-Status"]
                assert said(after) == plain
                assert said(client.get(path, headers=headers)) == odd
                assert b"evil" not in odd[1]
                assert "evil" not in str(odd[2])
                assert odd[1] == plain[1]


def test_g3_the_same_on_two_processes(server, reads):
    """The second process has the entry from Redis: one that an odd request has made."""
    for path in reads:
        line = f"GET {path} HTTP/1.1"
        answers = [
            exchange(server, request(line, "Host: localhost:1", "X-Fields: {title}", "X-Forwarded-Host: evil.example")),
            *(exchange(server, request(line, "Host: localhost")) for _ in range(6)),
        ]
        assert len({answer.data for answer in answers}) == 1
        assert "evil" not in "".join(str(answer.headers) for answer in answers)


def test_g4_unknown_parameters_make_no_entries(client, reads, cache_redis, coherence):
    client.get("/api/v1/posts")
    client.get("/api/v2/posts")
    near, far, numbers = len(coherence.near), cache_redis.client.dbsize(), random.Random(1)
    for _ in range(100):
        junk = f"x{numbers.getrandbits(64)}={numbers.getrandbits(64)}"
        answer = client.get(f"/api/v1/posts?{junk}")
        assert "hit" in answer.headers["Cache-Status"]
        assert client.get(f"/api/v2/posts?{junk}").status_code == 422
        assert client.get(f"/api/v1/users/{numbers.randint(10**6, 10**9)}").status_code == 404
    assert (len(coherence.near), cache_redis.client.dbsize()) == (near, far)


def test_g5_what_was_missing_is_there_once_it_is_made(client, reads, make_user, as_user, sql):
    author = as_user(make_user())
    [(last,)] = sql("SELECT max(id) FROM posts")
    for path in (f"/api/v1/posts/{last + 1}", f"/api/v2/posts/{last + 1}"):
        assert client.get(path).status_code == 404
        assert client.get(path).status_code == 404
    written = author.post("/api/v1/posts", json={"title": "t", "content": "c"})
    assert written.json["id"] == last + 1
    for path in (f"/api/v1/posts/{last + 1}", f"/api/v2/posts/{last + 1}"):
        assert client.get(path).status_code == 200


def test_g6_nothing_but_success_is_kept(client, reads, cache_redis, monkeypatch, forget_near, coherence):
    forget_near()
    cache_redis.client.flushall()
    for path in (
        "/api/v1/posts/999999",
        "/api/v2/posts?limit=x",
        "/api/v1/posts?page=0",
        "/api/v2/posts/0",
        "/nothing",
    ):
        for _ in range(2):
            assert client.get(path).status_code >= 400
    monkeypatch.setattr(posts, "published", lambda **_: 1 / 0)
    assert client.get("/api/v1/posts").status_code == 500
    assert (len(coherence.near), cache_redis.client.keys("*page*")) == (0, [])
    monkeypatch.undo()
    assert client.get("/api/v1/posts").status_code == 200


class Exploit:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def parts(entry: bytes) -> tuple[list[Any], bytes]:
    """The line of JSON that an entry has after its marks, and its body."""
    line, _, body = entry[entry.index(b'b["') + 1 :].partition(b"\n")
    return orjson.loads(line), body


def whole(fields: list[Any], body: bytes) -> bytes:
    return b"b" + orjson.dumps(fields) + b"\n" + body


def well_made(entry: bytes, _: Path) -> dict[str, bytes]:
    """Entries that are whole, and yet not ours."""
    fields, body = parts(entry)
    return {
        "another body": whole([*fields[:3], etag_of(b"[]\n"), fields[4]], b"[]\n"),
        "a line break in a header": whole([*fields[:4], [["Link", "x\r\nSet-Cookie: x=1"]]], body),
        "a header beyond Latin": whole([*fields[:4], [["Link", "链"]]], body),
        "another header": whole([*fields[:4], [["Content-Type", "text/html"]]], body),
        "an endless life": whole([*fields[:2], 1e308, *fields[3:]], body),
    }


def forgeries(entry: bytes, touched: Path) -> dict[str, bytes]:
    """What somebody who can write to Redis may put under an entry's key, instead of it."""
    fields, body = parts(entry)
    forged = {f"without {n}": fields[:n] + fields[n + 1 :] for n in range(len(fields))}
    forged |= {f"nonsense at {n}": [*fields[:n], {"x": 1}, *fields[n + 1 :]] for n in range(len(fields))}
    return {name: whole(changed, body) for name, changed in forged.items()} | {
        "pickle": pickle.dumps(Exploit(touched)),
        "pickle as bytes": b"b" + pickle.dumps(Exploit(touched)),
        "pickle as Flask-Caching stores it": b"!" + pickle.dumps(Exploit(touched)),
        "empty": b"",
        "a mark alone": b"b",
        "another mark": b"j" + entry[1:],
        "garbage": bytes(range(256)) * 8,
        "number": b"1",
        "null": b"jnull",
        "cut": entry[:-7],
        "another body": whole(fields, b'{"title":"forged"}'),
        "no line": orjson.dumps(fields),
        "deep": b"b" + b"[" * 100_000,
        "an ended life": whole([*fields[:2], 0, *fields[3:]], body),
    }


@pytest.mark.parametrize("forge", [forgeries, well_made])
def test_g10_whatever_redis_holds_is_a_miss_and_is_never_run(forge, client, reads, cache_redis, tmp_path, forget_near):
    redis, touched = cache_redis.client, tmp_path / "touched"
    for path in (reads[1], reads[6]):
        redis.flushall()
        forget_near()
        plain = said(client.get(path))
        [key] = redis.keys("*v1*")
        for name, forged in forge(redis.get(key), touched).items():
            redis.set(key, forged)
            forget_near()
            answer = client.get(path)
            assert said(answer) == plain, name
            assert "hit" not in answer.headers["Cache-Status"], name
            assert not touched.exists(), name
            assert redis.get(key) != forged, name


def test_g10_the_pickle_of_that_test_does_run_where_it_is_loaded(tmp_path):
    pickle.loads(pickle.dumps(Exploit(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize("kind", ["list", "hash", "namespace"])
def test_g10_another_type_under_the_key_is_a_miss(kind, client, reads, cache_redis, fresh_breaker, forget_near):
    redis = cache_redis.client
    forget_near()
    plain = said(client.get(reads[1]))
    [key] = redis.keys("*v1*")
    redis.delete(key)
    if kind == "list":
        redis.lpush(key, "x")
    elif kind == "hash":
        redis.hset(key, "x", "y")
    else:
        redis.lpush(f"{client.application.config['CACHE_KEY_PREFIX']}namespace", "x")
    for _ in range(3):
        forget_near()
        assert said(client.get(reads[1])) == plain


def test_g10_the_control_an_entry_that_is_ours_is_a_hit(client, reads, cache_redis, forget_near):
    """Else the tests above would pass with a far cache that is never read."""
    for path in reads:
        client.get(path)
        forget_near()
        answer = client.get(path)
        assert answer.headers["Cache-Status"].endswith("detail=far")
