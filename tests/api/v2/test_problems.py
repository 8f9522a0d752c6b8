"""Problem details: what every refusal of v2 looks like (API.md, v2; RFC 9457; RFC 6750)."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.api.v2.conftest import V2, bearer, fields_of
from tests.factories import PASSWORD

POSTS = f"{V2}/posts"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


@pytest.fixture
def asked(client, hers, admins, alice, make_post):
    """asked(case): the answer of one request for each kind of refusal."""
    url = f"{POSTS}/{make_post(alice).id}"
    json = "application/json"
    cases = {
        "malformed": lambda: hers.post(POSTS, data="{", content_type=json),
        "no object": lambda: hers.post(POSTS, json=[]),
        "missing_token": lambda: client.post(POSTS, json={}),
        "invalid_token": lambda: client.get(f"{V2}/me", headers=bearer("x")),
        "invalid_credentials": lambda: client.post(f"{V2}/auth/login", json={"username": "a", "password": "b"}),
        "forbidden": lambda: hers.get(f"{V2}/admin/users"),
        "not_found": lambda: client.get(f"{POSTS}/987654321"),
        "no route": lambda: client.get(f"{V2}/nothing"),
        "method_not_allowed": lambda: client.put(url, json={}),
        "conflict": lambda: hers.put(f"{V2}/users/{alice.id}/follow"),
        "taken": lambda: client.post(f"{V2}/users", json={"username": "alice", "password": PASSWORD}),
        "last_admin": lambda: admins.patch(f"{V2}/admin/users/{_id(admins)}", json={"role": "user"}),
        "precondition_failed": lambda: hers.patch(url, json={}, headers={"If-Match": '"x"'}),
        "too_large": lambda: hers.post(POSTS, data=b" " * 1_048_577, content_type=json),
        "unsupported_media_type": lambda: hers.post(POSTS, data="title=x", content_type="text/plain"),
        "invalid": lambda: hers.post(POSTS, json={}),
        "invalid query": lambda: client.get(f"{POSTS}?limit=0"),
    }
    return lambda case: cases[case]()


def _id(client):
    return client.get(f"{V2}/me").json["id"]


KINDS = {
    "malformed": 400,
    "no object": 400,
    "missing_token": 401,
    "invalid_token": 401,
    "invalid_credentials": 401,
    "forbidden": 403,
    "not_found": 404,
    "no route": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "taken": 409,
    "last_admin": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "invalid query": 422,
}


@pytest.mark.parametrize(("case", "status"), KINDS.items())
def test_a_refusal_is_a_problem_with_all_its_members(asked, case, status):
    answer = asked(case)
    content = answer.json
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert set(content) - {"errors"} == MEMBERS
    assert (content["status"], content["title"]) == (status, HTTPStatus(status).phrase)
    assert content["type"] == f"urn:broadsheet:problem:{content['code']}"
    assert content["request_id"] == answer.headers["X-Request-ID"]
    assert content["detail"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("errors" in content) == (status == 422 or case == "taken")


@pytest.mark.parametrize("case", [case for case in KINDS if " " not in case and case != "conflict"])
def test_the_code_tells_programs_what_it_is(asked, case):
    assert asked(case).json["code"] == case


@pytest.mark.parametrize(("case", "status"), KINDS.items())
def test_only_who_is_not_known_is_challenged(asked, case, status):
    """RFC 6750 §3: `error` where a token was shown, none where none was."""
    challenge = asked(case).headers.get("WWW-Authenticate")
    assert (challenge is not None) == (status == 401)
    if challenge:
        assert challenge.startswith('Bearer realm="broadsheet"')
        assert ("error=" in challenge) == (case != "missing_token")


def test_a_method_that_is_not_allowed_says_which_are(asked):
    assert set(asked("method_not_allowed").headers["Allow"].split(", ")) == {
        "GET",
        "HEAD",
        "OPTIONS",
        "PATCH",
        "DELETE",
    }


def test_each_error_says_where_what_and_why(hers):
    answer = hers.post(POSTS, json={"title": "", "tags": ["a", "b,c"], "x": 1})
    for error in answer.json["errors"]:
        assert set(error) == {"field", "code", "message"}
        assert all(isinstance(value, str) and value for value in error.values())
    assert {(e["field"], e["code"]) for e in answer.json["errors"]} == {
        ("title", "invalid"),
        ("content", "required"),
        ("tags.1", "invalid"),
        ("x", "unknown"),
    }


@pytest.mark.parametrize(
    ("method", "path", "bad"),
    [
        ("POST", "/auth/login", {"username": 1, "password": None, "x": 1}),
        ("POST", "/auth/password", {"current_password": 1, "password": "short", "x": 1}),
        ("POST", "/auth/refresh", {"refresh_token": 1, "x": 1}),
        ("PATCH", "/me", {"username": "", "bio": 1, "email": "x", "avatar_url": "x", "role": "admin"}),
        ("POST", "/todos", {"task": "", "done": 1, "due_at": "soon", "id": 1}),
        ("POST", "/notifications/read", {"up_to": 0, "x": 1}),
    ],
)
def test_every_bad_field_is_named_at_once(hers, method, path, bad):
    answer = hers.open(V2 + path, method=method, json=bad)
    assert answer.status_code == 422
    assert set(fields_of(answer)) == set(bad)


def test_a_known_id_of_a_request_comes_back_in_the_problem(client):
    answer = client.get(f"{V2}/nothing", headers={"X-Request-ID": "mine-1"})
    assert (answer.json["request_id"], answer.headers["X-Request-ID"]) == ("mine-1", "mine-1")


@pytest.mark.parametrize("path", ["", "/"])
def test_a_url_answers_alike_with_and_without_its_last_slash(hers, path):
    """No redirect that loses a body."""
    assert hers.post(f"{POSTS}{path}", json={"title": "t", "content": "c"}).status_code == 201
    assert hers.get(f"{POSTS}{path}").status_code == 200
