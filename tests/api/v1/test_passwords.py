"""Passwords in v1 (API.md; HARDENING D14 to D16, D18)."""

from __future__ import annotations

import pytest

from tests.factories import PASSWORD

USERS = "/api/v1/users"
LIKE_A_TUTORIAL = {"username": "12345678", "password": "12345678"}


@pytest.mark.parametrize("given", [{}, {"current_password": "not that one"}, {"current_password": None}])
def test_a_new_password_needs_the_current_one(make_user, as_user, log_in, given):
    alice = make_user(username="alice")
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json={"password": "another good one"} | given)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["current_password"]
    assert log_in("alice")[0] == 200


def test_an_admin_needs_his_own_current_password_too(make_user, as_user):
    admin = make_user(role="admin")
    answer = as_user(admin).put(f"{USERS}/{admin.id}", json={"password": "another good one"})
    assert list(answer.json["errors"]) == ["current_password"]


def test_an_admin_sets_anothers_password_and_ends_all_his_sessions(make_user, as_user, log_in):
    alice = make_user(username="alice")
    his = as_user(alice)
    answer = as_user(make_user(role="admin")).put(f"{USERS}/{alice.id}", json={"password": "another good one"})
    assert answer.status_code == 200
    assert his.put(f"{USERS}/{alice.id}", json={}).json["code"] == "revoked_token"
    assert [log_in("alice")[0], log_in("alice", "another good one")[0]] == [401, 200]


def test_a_new_password_ends_ones_other_sessions_and_keeps_this_one(make_user, as_user, log_in):
    alice = make_user(username="alice")
    this, other = as_user(alice), as_user(alice)
    url, change = f"{USERS}/{alice.id}", {"password": "another good one", "current_password": PASSWORD}
    assert this.put(url, json=change).status_code == 200
    assert (this.put(url, json={}).status_code, other.put(url, json={}).status_code) == (200, 401)
    assert [log_in("alice")[0], log_in("alice", "another good one")[0]] == [401, 200]


def test_the_current_password_alone_changes_nothing(make_user, as_user, sql):
    alice = make_user()
    before = sql("SELECT * FROM users")
    assert as_user(alice).put(f"{USERS}/{alice.id}", json={"current_password": PASSWORD}).status_code == 200
    assert sql("SELECT * FROM users") == before


@pytest.mark.parametrize(
    "password",
    [
        *("x" * n for n in (8, 64, 71, 72, 73, 128)),
        "\N{GRINNING FACE}" * 19,  # 76 bytes
        "密码" * 64,
        "  spaces are kept  ",
    ],
    ids=lambda password: f"{len(password)} characters, {len(password.encode())} bytes",
)
def test_a_password_of_8_to_128_characters_opens_what_it_registered(register, log_in, password):
    """HARDENING D14: bcrypt 5 raises beyond 72 bytes."""
    assert register(password=password).status_code == 201
    assert log_in("dora", password)[0] == 200
    assert log_in("dora", password[:-1] + "!")[0] == 401


def test_passwords_that_differ_after_72_bytes_do_not_open_each_other(register, log_in):
    register(password="x" * 72 + "a" * 28)
    assert [log_in("dora", "x" * 72 + end * 28)[0] for end in "ab"] == [200, 401]


@pytest.mark.parametrize(
    "password",
    ["x" * 7, "x" * 129, "nul\x00in the middle", "        ", "", None, 12345678, ["12345678"], {"a": 1}, True],
    ids=lambda password: ascii(password)[:20],
)
def test_a_password_that_is_none_is_refused_by_name(register, sql, password):
    """HARDENING D15."""
    answer = register(password=password)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["password"])
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize("url", [USERS, f"{USERS}/login"])
def test_a_lone_surrogate_is_no_json(client, sql, url):
    """HARDENING D15, F5: it cannot be encoded."""
    answer = client.post(
        url, data=rb'{"username": "dora", "password": "abcdefgh\ud800"}', content_type="application/json"
    )
    assert answer.status_code == 400
    assert answer.json["message"].startswith("Request must be JSON")
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize("password", ["x" * 2000, "nul\x00", 7, None, []], ids=lambda password: ascii(password)[:12])
def test_a_login_with_an_impossible_password_is_refused_and_nothing_breaks(make_user, client, password):
    make_user(username="alice")
    answer = client.post(f"{USERS}/login", json={"username": "alice", "password": password})
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize("word", ["12345678", "Password1"])
def test_v1_takes_the_tutorials_passwords_on_a_developers_machine(register, word):
    assert register(password=word).status_code == 201


@pytest.mark.parametrize("body", [LIKE_A_TUTORIAL, {"username": "dora", "password": "PASSWORD123"}])
def test_v1_refuses_easy_passwords_in_production(client, app, monkeypatch, body):
    monkeypatch.setitem(app.config, "APP_ENV", "production")
    answer = client.post(USERS, json=body)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["password"])


def test_v1_refuses_a_new_easy_password_in_production(app, make_user, as_user, monkeypatch):
    alice = make_user(username="alice-and-bob")
    monkeypatch.setitem(app.config, "APP_ENV", "production")
    change = {"password": "Alice-And-Bob", "current_password": PASSWORD}
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json=change)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["password"])


def test_the_stored_hash_is_bcrypts(register, sql):
    register()
    assert sql("SELECT password_hash FROM users")[0][0].startswith("$2b$04$")
