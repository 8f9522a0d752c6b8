"""The requests of the tutorials' blog APIs, each as each caller may send it (API.md, v1; issue 2).

`docs/from-the-tutorials.md` is the table of this walk: a test here compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import PASSWORD

TABLE = Path(__file__).resolve().parents[3] / "docs" / "from-the-tutorials.md"

CALLERS = ("no token", "bare token", "Bearer token", "another user", "admin", "garbage", "expired token")
NOT_YOURS = "You can only {} your own posts unless you are an admin"
CODES = {
    "Missing token": "missing_token",
    "Invalid token": "invalid_token",
    "Token has expired": "expired_token",
    "Invalid credentials": "invalid_credentials",
}


@dataclass(frozen=True)
class Request:
    """One request of the walk.

    :ivar name: as the table in the doc begins its row.
    :ivar success: the status for who may send it, and the text where the answer is a message.
    :ivar refusals: caller -> status and text; who is not named is let in.
    """

    name: str
    method: str
    url: str
    success: tuple[int, str | None]
    body: dict[str, Any] | None = None
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)


STRANGERS = {
    "no token": (401, "Missing token"),
    "garbage": (401, "Invalid token"),
    "expired token": (401, "Token has expired"),
}
ADMINS_ONLY = STRANGERS | dict.fromkeys(("bare token", "Bearer token", "another user"), (403, "Admin access required"))
INFO = {"age": 33, "birth": "2023-08-23 12:30:59"}
NEW = {"username": "dora", "password": "12345678"}
WALK = (
    Request("`POST /api/v1/users` with `username`, `password`", "POST", "/users", (201, None), NEW),
    Request(
        "`POST /api/v1/users` with `mobile` and `info`",
        "POST",
        "/users",
        (201, None),
        NEW | {"mobile": "13800138000", "info": INFO},
    ),
    Request("`GET /api/v1/users`", "GET", "/users", (200, None)),
    Request("`GET /api/v1/users/{id}`", "GET", "/users/{alice}", (200, None)),
    Request(
        "`PUT /api/v1/users/{id}`",
        "PUT",
        "/users/{alice}",
        (200, None),
        {"username": "alicia"},
        STRANGERS | {"another user": (403, "You can only edit your own account unless you are an admin")},
    ),
    Request(
        "`DELETE /api/v1/users/{id}`", "DELETE", "/users/{alice}", (200, "User deleted"), refusals=dict(ADMINS_ONLY)
    ),
    Request(
        "`POST /api/v1/users/login` with the right password",
        "POST",
        "/users/login",
        (200, None),
        {"username": "alice", "password": PASSWORD},
    ),
    Request(
        "`POST /api/v1/users/login` with a wrong password",
        "POST",
        "/users/login",
        (401, "Invalid credentials"),
        {"username": "alice", "password": "not that one"},
    ),
    Request("`POST /api/v1/users/logout`", "POST", "/users/logout", (200, "Logged out"), refusals=dict(STRANGERS)),
    Request("`GET /api/v1/posts`", "GET", "/posts", (200, None)),
    Request("`GET /api/v1/posts?user_id={id}`", "GET", "/posts?user_id={alice}", (200, None)),
    Request(
        "`POST /api/v1/posts`", "POST", "/posts", (201, None), {"title": "Hello", "content": "Words"}, dict(STRANGERS)
    ),
    Request("`GET /api/v1/posts/{id}`", "GET", "/posts/{post}", (200, None)),
    Request(
        "`PUT /api/v1/posts/{id}`",
        "PUT",
        "/posts/{post}",
        (200, None),
        {"title": "A new title"},
        STRANGERS | {"another user": (403, NOT_YOURS.format("edit"))},
    ),
    Request(
        "`DELETE /api/v1/posts/{id}`",
        "DELETE",
        "/posts/{post}",
        (200, "Post deleted"),
        refusals=STRANGERS | {"another user": (403, NOT_YOURS.format("delete"))},
    ),
    Request(
        "`DELETE /api/v1/posts/all`", "DELETE", "/posts/all", (200, "All posts deleted"), refusals=dict(ADMINS_ONLY)
    ),
)
READS = tuple(request for request in WALK if request.method == "GET")
BY_NAME = {request.name: request for request in WALK}


class Blog:
    """Alice with a post, Bob with another, an admin; and who asks."""

    def __init__(self, client: FlaskClient, make_user: Any, make_post: Any, token_of: Callable[..., str]) -> None:
        self._client = client
        alice, bob, root = make_user(username="alice"), make_user(username="bob"), make_user(role="admin")
        self.post, self.others_post = make_post(alice), make_post(bob)
        self.alice, self.bob = alice, bob
        self._tokens: dict[str, Callable[[], str]] = {
            "bare token": lambda: token_of(alice),
            "Bearer token": lambda: f"Bearer {token_of(alice)}",
            "another user": lambda: f"Bearer {token_of(bob)}",
            "admin": lambda: f"Bearer {token_of(root)}",
            "garbage": lambda: "Bearer not.a.token",
            "expired token": lambda: f"Bearer {token_of(alice, hours=-1)}",
        }

    def send(self, request: Request, caller: str = "admin") -> TestResponse:
        """Send a request of the walk."""
        url = request.url.format(alice=self.alice.id, post=self.post.id)
        headers = {"Authorization": self._tokens[caller]()} if caller in self._tokens else {}
        return self._client.open(f"/api/v1{url}", method=request.method, json=request.body, headers=headers)

    def seen(self) -> dict[str, Any]:
        """What the GETs of the walk show now: usernames and titles; None for a 404."""
        return {read.name: _gist(self.send(read, "no token")) for read in READS}


@pytest.fixture
def blog(client, make_user, make_post, token_of) -> Blog:
    return Blog(client, make_user, make_post, token_of)


def _gist(answer: TestResponse) -> Any:
    def of_one(thing: dict[str, Any]) -> str:
        return thing["username"] if "username" in thing else thing["title"]

    if answer.status_code == 404:
        return None
    assert answer.status_code == 200
    return [of_one(thing) for thing in answer.json] if isinstance(answer.json, list) else of_one(answer.json)


EACH_CALLER = [
    pytest.param(request, caller, id=f"{request.name.replace('`', '')}, {caller}")
    for request in WALK
    for caller in CALLERS
]


@pytest.mark.parametrize(("request_", "caller"), EACH_CALLER)
def test_every_request_is_answered_to_every_caller_as_the_contract_says(blog, request_, caller):
    status, text = request_.refusals.get(caller, request_.success)
    answer = blog.send(request_, caller)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    if status < 400:
        assert text is None or answer.json["message"] == text
        return
    code = {"code": CODES[text]} if status == 401 else {}
    assert answer.json == {"error": HTTPStatus(status).phrase, "message": text} | code
    assert status != 401 or answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("read", READS, ids=lambda read: read.name.replace("`", ""))
def test_the_second_read_is_a_hit_with_the_same_bytes(blog, read, caller):
    first, second = blog.send(read, "no token"), blog.send(read, caller)
    assert "stored" in first.headers["Cache-Status"]
    assert second.headers["Cache-Status"].startswith("broadsheet; hit")
    assert second.data == first.data


AFTER: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    # what the write changes of what the reads show, given what they showed before
    "`POST /api/v1/users` with `username`, `password`": lambda was: {
        "`GET /api/v1/users`": [*was["`GET /api/v1/users`"], "dora"]
    },
    "`POST /api/v1/users` with `mobile` and `info`": lambda was: {
        "`GET /api/v1/users`": [*was["`GET /api/v1/users`"], "dora"]
    },
    "`PUT /api/v1/users/{id}`": lambda was: {
        "`GET /api/v1/users`": ["alicia", *was["`GET /api/v1/users`"][1:]],
        "`GET /api/v1/users/{id}`": "alicia",
    },
    "`DELETE /api/v1/users/{id}`": lambda was: {
        "`GET /api/v1/users`": was["`GET /api/v1/users`"][1:],
        "`GET /api/v1/users/{id}`": None,
        "`GET /api/v1/posts`": was["`GET /api/v1/posts`"][:1],
        "`GET /api/v1/posts?user_id={id}`": [],
        "`GET /api/v1/posts/{id}`": None,
    },
    "`POST /api/v1/posts`": lambda was: {"`GET /api/v1/posts`": ["Hello", *was["`GET /api/v1/posts`"]]},
    "`PUT /api/v1/posts/{id}`": lambda was: {
        "`GET /api/v1/posts`": [was["`GET /api/v1/posts`"][0], "A new title"],
        "`GET /api/v1/posts?user_id={id}`": ["A new title"],
        "`GET /api/v1/posts/{id}`": "A new title",
    },
    "`DELETE /api/v1/posts/{id}`": lambda was: {
        "`GET /api/v1/posts`": was["`GET /api/v1/posts`"][:1],
        "`GET /api/v1/posts?user_id={id}`": [],
        "`GET /api/v1/posts/{id}`": None,
    },
    "`DELETE /api/v1/posts/all`": lambda was: {
        "`GET /api/v1/posts`": [],
        "`GET /api/v1/posts?user_id={id}`": [],
        "`GET /api/v1/posts/{id}`": None,
    },
}


def test_every_write_of_the_walk_has_a_line_that_says_what_it_shows():
    logins = {name for name in BY_NAME if "/log" in name}
    assert set(AFTER) == {request.name for request in WALK if request.method != "GET"} - logins


@pytest.mark.parametrize("write", list(AFTER), ids=lambda name: name.replace("`", ""))
def test_after_a_write_every_read_shows_it_and_nothing_else(blog, write):
    before = blog.seen()
    assert blog.seen() == before  # all warm now
    assert blog.send(BY_NAME[write], "admin").status_code in (200, 201)
    expected = before | AFTER[write](before)
    assert blog.seen() == expected
    assert blog.seen() == expected  # and so does what was kept after the write


@pytest.mark.parametrize("write", list(AFTER), ids=lambda name: name.replace("`", ""))
def test_after_a_refused_write_every_read_is_still_a_hit(blog, write):
    blog.seen()
    refused = next(iter(BY_NAME[write].refusals), None)
    if refused is None:  # registering is open to all: a name that is taken is refused
        taken = Request("", "POST", "/users", (400, None), {"username": "alice", "password": "12345678"})
        assert blog.send(taken, "no token").status_code == 400
    else:
        assert blog.send(BY_NAME[write], refused).status_code in (401, 403)
    for read in READS:
        assert "hit" in blog.send(read, "no token").headers["Cache-Status"], read.name


def test_a_post_that_was_asked_for_too_early_is_there_once_it_is_written(blog):
    """HARDENING G5: Flask-Caching 2.5 keeps a raised 404."""
    read = Request("", "GET", f"/posts/{blog.others_post.id + 1}", (200, None))
    for _ in range(2):
        missing = blog.send(read, "no token")
        assert (missing.status_code, missing.json["message"]) == (404, "Post not found")
    written = blog.send(BY_NAME["`POST /api/v1/posts`"])
    assert written.headers["Location"] == f"/api/v1{read.url}"
    assert blog.send(read, "no token").json == written.json


def test_a_newcomer_walks_from_registering_to_an_empty_blog(client, make_user, as_user):
    """The tutorials' own order, with the token that the login gave."""
    account = client.post("/api/v1/users", json={"username": "12345678", "password": "12345678"})
    assert account.status_code == 201
    token = client.post("/api/v1/users/login", json={"username": "12345678", "password": "12345678"}).json["token"]
    headers = {"Authorization": f"Bearer {token}"}
    post = client.post("/api/v1/posts", json={"title": "One", "content": "Two"}, headers=headers).json
    assert post["user_id"] == account.json["id"]
    url = f"/api/v1/posts/{post['id']}"
    assert client.put(url, json={"content": "Three"}, headers=headers).json["content"] == "Three"
    assert client.get(url).json == post | {"content": "Three"}
    assert client.get(f"/api/v1/posts?user_id={post['user_id']}").json == [post | {"content": "Three"}]
    assert client.delete(url, headers=headers).json == {"message": "Post deleted"}
    client.post("/api/v1/posts", json={"title": "One", "content": "Two"}, headers=headers)
    emptied = as_user(make_user(role="admin")).delete("/api/v1/posts/all")
    assert emptied.json == {"message": "All posts deleted", "count": 1}
    assert client.get("/api/v1/posts").json == []


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "text"),
    [
        ("GET", "/posts/404", None, 404, "Post not found"),
        ("PUT", "/posts/404", {"title": "x"}, 404, "Post not found"),
        ("DELETE", "/posts/404", None, 404, "Post not found"),
        ("GET", "/users/404", None, 404, "User not found"),
        ("PUT", "/users/404", {"mobile": None}, 404, "User not found"),
        ("DELETE", "/users/404", None, 404, "User not found"),
        ("POST", "/users", {"username": "alice", "password": "12345678"}, 400, "Username already exists"),
        ("POST", "/users", {"username": "dora"}, 400, "Missing username or password"),
        ("POST", "/users", {"password": "12345678"}, 400, "Missing username or password"),
        ("POST", "/users", {"username": "", "password": ""}, 400, "Missing username or password"),
        ("POST", "/users/login", {"username": "alice"}, 400, "Missing username or password"),
        ("POST", "/users/login", {}, 400, "Missing username or password"),
        ("POST", "/users/login", {"username": "nobody", "password": PASSWORD}, 401, "Invalid credentials"),
        ("POST", "/posts", {"title": "x"}, 400, "Missing title or content"),
        ("POST", "/posts", {"content": "x"}, 400, "Missing title or content"),
        ("POST", "/posts", {"title": None, "content": "x"}, 400, "Missing title or content"),
        ("POST", "/users", None, 400, "Request must be JSON"),
        ("POST", "/users/login", None, 400, "Request must be JSON"),
        ("POST", "/posts", None, 400, "Request must be JSON"),
        ("PUT", "/posts/{post}", None, 400, "Request must be JSON"),
        ("PUT", "/users/{alice}", None, 400, "Request must be JSON"),
    ],
)
def test_what_cannot_be_done_is_answered_in_the_words_of_the_tutorials(blog, method, url, body, status, text):
    answer = blog.send(Request("", method, url, (status, text), body))
    assert (answer.status_code, answer.json["message"]) == (status, text)
    assert answer.json["error"] == HTTPStatus(status).phrase


def _rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_table_has_one_row_for_each_request_of_the_walk_and_no_other():
    assert [row[0] for row in _rows()] == [request.name for request in WALK]


def test_the_table_says_of_each_request_what_we_answer():
    for cells in _rows():
        status, text = BY_NAME[cells[0]].success
        ours = cells[2]
        assert ours.startswith(str(status)), cells[0]
        assert text is None or json.dumps(text) in ours or text in ours, cells[0]
        for status, text in BY_NAME[cells[0]].refusals.values():
            assert f"{status} `{text}`" in ours, (cells[0], text)
