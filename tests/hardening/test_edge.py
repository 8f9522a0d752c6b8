"""What every answer carries, whatever it is: headers, ids, CORS (HARDENING H1, F20, F21)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from app.edge import Edge
from app.errors import Problem
from app.logs import JSONFormatter, TextFormatter
from app.routes import problems
from app.services import posts, profiles, tags, todos, users
from tests.factories import PASSWORD
from tests.hardening.answers import assert_refused
from tests.hardening.wire import exchange, request

POSTS = "/api/v1/posts"
FRONTEND = "https://frontend.example"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture
def cold(make_user, make_post) -> None:
    """No list is cached: a post was just written."""
    make_post(make_user())


@pytest.fixture
def broken(cold, monkeypatch) -> None:
    """The services raise what nobody expects."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("the secret is hunter2")

    for name in ("published", "one", "create", "searched", "trash"):
        monkeypatch.setattr(posts, name, fail)
    for service, name in ((users, "listed"), (profiles, "one"), (tags, "tags"), (todos, "searched")):
        monkeypatch.setattr(service, name, fail)


@pytest.fixture
def for_frontends(app) -> Callable[..., Client]:
    """for_frontends(origin …): a client of the app behind an edge with these CORS_ORIGINS."""

    def client(*origins):
        return Client(Edge(app.wsgi_app, dict(app.config) | {"CORS_ORIGINS": list(origins)}, lambda: None))

    return client


def answers(client: FlaskClient, author: FlaskClient, post_id: int) -> dict[str, Any]:
    """One answer of each kind."""
    item, etag = f"{POSTS}/{post_id}", client.get(f"{POSTS}/{post_id}").headers["ETag"]
    return {
        "200": client.get(item),
        "201": author.post(POSTS, json={"title": "t", "content": "c"}),
        "304": client.get(item, headers={"If-None-Match": etag}),
        "400": author.post(POSTS, data="{"),
        "401": client.post(POSTS, json={}),
        "403": author.delete("/api/v1/posts/all"),
        "404": client.get("/nothing"),
        "405": client.put("/api/v2/posts", json={}),
        "412": author.put(item, json={}, headers={"If-Match": '"x"'}),
        "413": author.post(POSTS, data=b" " * 2_000_000),
        "414": client.get(f"{POSTS}?{'x' * 5000}"),
        "422": client.get("/api/v2/posts?limit=x"),
        "431": client.get(POSTS, headers={"X-Long": "x" * 9000}),
        "HEAD": client.head(item),
        "HEAD 404": client.head("/nothing"),
        "OPTIONS": client.options(POSTS),
        "preflight": client.options(POSTS, headers={"Access-Control-Request-Method": "PUT", "Origin": FRONTEND}),
        "health": client.get("/api/health/live"),
        "swagger": client.get("/api/swagger.json"),
        "wrong host": client.get(POSTS, headers={"Host": "evil.example"}),
    }


def test_h1_every_answer_carries_the_security_headers(client, make_user, make_post, as_user, subtests):
    author = make_user()
    for name, answer in answers(client, as_user(author), make_post(author).id).items():
        with subtests.test(name):
            if name.isdigit():
                assert answer.status_code == int(name)
            assert {header: answer.headers.get(header) for header in ALWAYS} == ALWAYS
            assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
            assert "Strict-Transport-Security" not in answer.headers
            assert len(answer.headers.getlist("Content-Security-Policy")) == 1
            if name.startswith(("HEAD", "304", "OPTIONS", "preflight")):
                assert answer.data == b""


def test_h1_https_is_to_stay(client):
    answer = client.get("/nothing", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_h1_the_server_says_no_version(server):
    for line in (f"GET {POSTS} HTTP/1.1", "GET /nothing HTTP/1.1", f"POST {POSTS} HTTP/1.1"):
        answer = exchange(server, request(line, "Host: localhost"))
        assert not re.search(r"\d", answer.headers["Server"])
        assert "X-Powered-By" not in answer.headers
        assert {header: answer.headers.get(header) for header in ALWAYS} == ALWAYS


def test_h1_the_docs_may_run_their_own_scripts_and_nobody_elses(client):
    """Neither script nor style stands in the page: no exception, no nonce (HARDENING H2)."""
    policy = client.get("/api/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_h3_nothing_of_the_request_is_said_again(client):
    forwarded = dict.fromkeys(
        ("X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-URL", "Forwarded"), "evil.example"
    )
    for path in ("/api/docs", "/api/swagger.json", "/nothing/evil", POSTS):
        answer = client.get(path, headers=forwarded)
        assert "evil.example" not in answer.get_data(as_text=True) + str(answer.headers)
        assert answer.data == client.get(path).data or answer.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/posts", "/api/v1/posts/1", "/api/v1/users", "/api/v2/posts", "/api/v2/posts/1"),
        *("/api/v2/posts/trash", "/api/v2/users/1", "/api/v2/tags", "/api/v2/todos"),
    ],
)
def test_f21_a_fault_of_ours_is_a_500_in_json_and_says_nothing(path, make_user, as_user, broken, caplog):
    client = as_user(make_user(), "v2")
    answer = client.get(path)
    assert_refused(answer, path, 500)
    assert b"hunter2" not in answer.data
    assert {header: answer.headers.get(header) for header in ALWAYS} == ALWAYS
    assert "hunter2" in caplog.text
    assert client.get(path).status_code == 500  # and it is not kept


@pytest.mark.parametrize("path", [POSTS, "/api/v2/posts"])
def test_f21_a_fault_of_ours_in_a_write_is_a_500_too(path, make_user, as_user, broken):
    assert_refused(as_user(make_user(), "v2").post(path, json={"title": "t", "content": "c"}), path, 500)


def test_f21_what_flask_or_restx_raise_is_rendered_as_well(cold, client, monkeypatch):
    """RESTX would send an exception's `.data` as the body: here a password."""
    error = ValueError("x")
    error.data = {"password": "hunter2"}  # type: ignore[attr-defined]
    monkeypatch.setattr(posts, "published", lambda **_: (_ for _ in ()).throw(error))
    answer = client.get(POSTS)
    assert_refused(answer, POSTS, 500)
    assert b"hunter2" not in answer.data


def test_f21_a_method_that_is_not_allowed_says_which_are(client, subtests):
    allowed = {
        "/api/v1/users": {"GET", "HEAD", "OPTIONS", "POST"},
        "/api/v1/users/1": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
        "/api/v1/users/login": {"OPTIONS", "POST"},
        "/api/v1/posts": {"GET", "HEAD", "OPTIONS", "POST"},
        "/api/v1/posts/1": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
        "/api/v1/posts/all": {"DELETE", "OPTIONS"},
        "/api/v2/posts": {"GET", "HEAD", "OPTIONS", "POST"},
        "/api/v2/posts/1": {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"},
        "/api/v2/posts/trash": {"GET", "HEAD", "OPTIONS"},
        "/api/v2/users": {"OPTIONS", "POST"},
        "/api/v2/users/1": {"GET", "HEAD", "OPTIONS"},
        "/api/v2/users/1/follow": {"OPTIONS", "PUT", "DELETE"},
        "/api/v2/auth/login": {"OPTIONS", "POST"},
        "/api/v2/me": {"GET", "HEAD", "OPTIONS", "PATCH"},
        "/api/health/live": {"GET", "HEAD", "OPTIONS"},
        "/api/swagger.json": {"GET", "HEAD", "OPTIONS"},
    }
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - methods:
            with subtests.test(path=path, method=method):
                answer = client.open(path, method=method, json=None if method == "GET" else {})
                assert_refused(answer, path, 405)
                assert set(answer.headers["Allow"].split(", ")) == methods
        assert set(client.options(path).headers["Allow"].split(", ")) == methods


def test_f20_the_caller_names_his_request_in_plain_characters(client):
    for given in ("a", "x" * 64, "0b1c-5c4a_2f.3e"):
        assert client.get("/nothing", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given
    for given in ("", "x" * 65, "a b", "é", "a;b", "a\tb", "<", "a,b", "%0d%0a"):
        answer = client.get("/nothing", environ_overrides={"HTTP_X_REQUEST_ID": given})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
        assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    for given in ("a\r\nSet-Cookie: x=1", "a\nb", "a\n", "a\x00"):
        answer = client.get("/nothing", environ_overrides={"HTTP_X_REQUEST_ID": given})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
        assert "Set-Cookie" not in answer.headers


def test_cors_is_off_until_it_is_set(client):
    answer = client.get(POSTS, headers={"Origin": FRONTEND})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
    assert "Origin" not in answer.headers.getlist("Vary")


def test_cors_answers_the_listed_origins_and_no_others(for_frontends):
    client = for_frontends(FRONTEND, "http://localhost:3000")
    for path in (POSTS, "/nothing", "/api/v1/posts/999"):
        for origin in (FRONTEND, "http://localhost:3000"):
            answer = client.get(path, headers={"Origin": origin})
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "Origin" in answer.headers.getlist("Vary")
        strangers = (
            "https://evil.example",
            f"{FRONTEND}.evil.example",
            "null",
            FRONTEND.upper(),
            f"{FRONTEND}/",
            "*",
            "",
        )
        for origin in strangers:
            answer = client.get(path, headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.headers.getlist("Vary")
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_cors_exposes_what_a_frontend_needs(for_frontends):
    exposed = for_frontends("*").get(POSTS, headers={"Origin": FRONTEND}).headers
    assert exposed["Access-Control-Allow-Origin"] == "*"
    needed = {"ETag", "Link", "Location", "X-Total-Count", "X-Request-ID", "Retry-After", "Cache-Status"}
    assert needed <= set(exposed["Access-Control-Expose-Headers"].split(", "))


def test_cors_lets_a_preflight_pass_without_a_token(for_frontends):
    client = for_frontends(FRONTEND)
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type"}
    answer = client.options(f"{POSTS}/1", headers=asked | {"Origin": FRONTEND})
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == FRONTEND
    assert {"PUT", "DELETE", "POST"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert {"Authorization", "Content-Type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    other = client.options(f"{POSTS}/1", headers=asked | {"Origin": "https://evil.example"})
    assert not [name for name, _ in other.headers if name.startswith("Access-Control")]


def line_of(formatter: logging.Formatter, message: str, *args: object, error: BaseException | None = None) -> str:
    given = (type(error), error, error.__traceback__) if error else None
    return formatter.format(logging.LogRecord("x", logging.INFO, "f.py", 1, message, args, given))


FORGED = "x\r\n12:00:00.000 INFO broadsheet.access: forged\u2028\x85\ud800"


def test_f20_an_event_is_one_line_of_json():
    error = ValueError(FORGED)
    event = line_of(JSONFormatter(), "user %s", FORGED, error=error)
    assert len(event.splitlines()) == 1
    assert json.loads(event)["message"] == f"user {FORGED}"
    assert "forged" in json.loads(event)["traceback"]


def test_f20_no_line_of_a_text_log_is_forged():
    lines = line_of(TextFormatter(), "user %s", FORGED, error=ValueError(FORGED)).split("\n")
    assert not [line for line in lines[1:] if not line.startswith("    ")]
    assert len(line_of(TextFormatter(), "user %s", FORGED).split("\n")) == 1


def test_i2_the_log_of_a_database_error_has_no_values_in_it(cold, client, monkeypatch, caplog):
    """SQLAlchemy's text repeats the statement's parameters."""
    from sqlalchemy import text

    from app.extensions import db

    def fail(**_: Any) -> None:
        db.session.execute(
            text("SELECT no_such_column FROM users WHERE email = :email"), {"email": "zelda@example.org"}
        )

    monkeypatch.setattr(posts, "published", fail)
    assert client.get(POSTS).status_code >= 500
    assert "no_such_column" in caplog.text
    assert "zelda" not in caplog.text


def test_an_error_without_a_path_of_ours_is_still_a_problem():
    for error in (Problem(), KeyError("x"), RecursionError()):
        answer = problems.render(error, "", "id")
        assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")


def test_i2_no_password_comes_back(client, make_user, as_user):
    alice = make_user(username="alice")
    marker = "marker-hunter2-marker"
    for answer in (
        client.post("/api/v1/users/login", json={"username": "alice", "password": marker}),
        client.post("/api/v1/users/login", json={"username": 1, "password": marker}),
        client.post("/api/v1/users", json={"username": "alice", "password": marker}),
        client.post("/api/v1/users", json={"username": "new", "password": marker}),
        client.post("/api/v1/users", json={"username": "n w", "password": marker * 9}),
        as_user(alice).put(f"/api/v1/users/{alice.id}", json={"password": marker, "current_password": marker}),
        as_user(alice).put(f"/api/v1/users/{alice.id}", json={"password": marker, "current_password": PASSWORD}),
    ):
        assert marker not in answer.get_data(as_text=True)
        assert "$2b$" not in answer.get_data(as_text=True)
