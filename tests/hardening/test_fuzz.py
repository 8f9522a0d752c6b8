"""Random bodies, queries and headers: each is answered in one of our shapes, never with 5xx. The same on each run."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import PASSWORD
from tests.hardening.answers import V1, assert_shape

short_and_the_same_each_time = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = ("username", "password", "email", "mobile", "info", "age", "birth", "role", "current_password", "title")
FIELDS += (
    "content",
    "category",
    "id",
    "user_id",
    "created_at",
    "password_hash",
    "deleted_at",
    "token",
    "tags",
    "display_name",
    "bio",
    "avatar_url",
    "task",
    "done",
    "due_at",
    "up_to",
    "disabled",
    "refresh_token",
    "",
    "__class__",
)
PARAMETERS = ("user_id", "category", "page", "per_page", "limit", "cursor", "sort", "fields", "id", "_", "")
PARAMETERS += ("tag", "author", "published_after", "published_before", "include", "total", "done", "unread", "role")
GOOD = (
    "alice",
    PASSWORD,
    "admin",
    "user",
    "a@b.example",
    "2026-11-20",
    "2026-11-20 15:00:00",
    "WyItcHVibGlzaGVkX2F0IixbeyJhdCI6IjIwMjYtMDEtMDFUMDA6MDA6MDArMDA6MDAifSwxXSxmYWxzZV0",
    "WyJ0aXRsZSIsWyJcdWQ4MDAiLDFdLGZhbHNlXQ",
    "title,-updated_at",
    "2026-11-20T15:00:00Z",
)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), values, max_size=6)


NUMBERS = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2**31, 2**63 - 1, 2**63, 10**22])
TEXTS = st.text(max_size=40) | st.sampled_from(GOOD) | st.integers(0, 300).map("x".__mul__)
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=6)
READS = ("/api/v1/users", "/api/v1/posts", "/api/v1/todos")
READS += tuple(
    f"/api/v2/{path}" for path in ("posts", "tags", "categories", "todos", "notifications", "me", "admin/users")
)
HEADERS = (
    "Accept",
    "X-Fields",
    "If-None-Match",
    "If-Match",
    "Idempotency-Key",
    "Authorization",
    "Origin",
    "Range",
    "Cookie",
)


def headers() -> st.SearchStrategy[dict[str, str]]:
    latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
    return st.dictionaries(st.sampled_from(HEADERS), latin, max_size=2)


def assert_answered(answer: Any, path: str) -> None:
    assert answer.status_code < 500, answer.data
    if answer.status_code >= 400:
        assert_shape(orjson.loads(answer.data), answer.status_code, path.startswith(V1), answer.headers)


@short_and_the_same_each_time
@given(which=st.integers(0, 17), body=objects(VALUES), keep=st.booleans())
def test_any_object_is_answered(which, body, keep, writes):
    route = writes[which]
    answer = route.send(json=(route.good if keep else {}) | body)
    assert_answered(answer, route.path)


@short_and_the_same_each_time
@given(which=st.integers(0, 17), cut=st.integers(0, 80), noise=st.binary(max_size=8), extra=headers())
def test_any_bytes_are_answered(which, cut, noise, extra, writes):
    route = writes[which]
    good = orjson.dumps(route.good)
    data = good[:cut] + noise + good[cut:]
    assert_answered(route.send(data=data, content_type="application/json", headers=extra), route.path)


@short_and_the_same_each_time
@given(
    path=st.sampled_from(READS),
    query=st.lists(st.tuples(st.sampled_from(PARAMETERS), TEXTS | NUMBERS.map(str)), max_size=4),
    extra=headers(),
)
def test_any_query_is_answered(path, query, extra, mighty, post):
    assert_answered(mighty.get(path, query_string=query, headers=extra), path)


@short_and_the_same_each_time
@given(
    base=st.sampled_from([*(f"{path}/" for path in READS), "/api/v2/users/", "/api/", "/"]),
    rest=st.text(max_size=30) | NUMBERS.map(str),
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]),
)
def test_any_path_is_answered(base, rest, method, writes):
    path = base + rest.replace("?", "").replace("#", "")
    answer = writes[4].client.open(path, method=method, json={} if method in ("PUT", "POST") else None)
    assert answer.status_code < 500
    if method != "HEAD":
        assert_answered(answer, path)
