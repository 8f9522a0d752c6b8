"""Logging in and showing a token (API.md; HARDENING D1, D2; RFC 6750)."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
import requests

from app.services import passwords
from tests.factories import PASSWORD

USERS = "/api/v1/users"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_cannot_log_in_learns_nothing(make_user, client, sql):
    """HARDENING D1: unknown, wrong, disabled and deleted look alike."""
    alice, shut, gone = make_user(username="alice"), make_user(username="shut"), make_user(username="gone")
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=shut.id)
    sql("UPDATE users SET deleted_at = created_at, username_key = NULL WHERE id = :id", id=gone.id)
    tries = [
        ("nobody", PASSWORD),
        (alice.username, "not that one"),
        ("shut", PASSWORD),
        ("gone", PASSWORD),
        ("a b", "x"),
    ]
    answers = [client.post(f"{USERS}/login", json={"username": n, "password": p}) for n, p in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.keys())) for answer in answers}) == 1


@pytest.mark.parametrize("name", ["nobody", "alice", "shut", "a b"])
def test_who_cannot_log_in_waits_for_one_hash_whoever_he_is(make_user, client, sql, monkeypatch, name):
    """HARDENING D2: what takes the time is done in every case, once."""
    make_user(username="alice")
    shut = make_user(username="shut")
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=shut.id)
    seen: list[str] = []
    real = passwords.bcrypt.check_password_hash
    monkeypatch.setattr(passwords.bcrypt, "check_password_hash", lambda h, p: seen.append(h) or real(h, p))
    client.post(f"{USERS}/login", json={"username": name, "password": "not that one"})
    assert [one[:7] for one in seen] == ["$2b$04$"]


def test_an_unknown_name_costs_as_many_statements_as_a_wrong_password(make_user, client, count_queries):
    make_user(username="alice")
    counts = []
    for name in ("nobody", "alice"):
        with count_queries() as statements:
            client.post(f"{USERS}/login", json={"username": name, "password": "not that one"})
        counts.append(len(statements))
    assert counts[0] == counts[1] > 0


def test_a_disabled_accounts_tokens_die(alice, hers, make_post, sql):
    post = make_post(alice)
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=alice.id)
    answer = hers.put(f"/api/v1/posts/{post.id}", json={"title": "x"})
    assert (answer.status_code, answer.json["code"]) == (401, "revoked_token")


def test_a_v1_token_lives_as_long_as_the_setting_says(make_user, log_in, app):
    make_user(username="alice")
    _, token = log_in("alice")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == "v1"
    lifetime = timedelta(seconds=claims["exp"] - claims["iat"])
    assert abs(lifetime - timedelta(hours=app.config["V1_TOKEN_HOURS"])) <= timedelta(seconds=1)


def test_v2s_access_tokens_work_in_v1(make_user, token_of, client):
    alice = make_user()
    answer = client.put(f"{USERS}/{alice.id}", json={}, headers=_bearer(token_of(alice, audience="v2")))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "missing_token"),
        ("Bearer", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Basic YTpi", "invalid_token"),
        ("Bearer a b", "invalid_token"),
        ("x", "invalid_token"),
    ],
)
def test_401_says_which_and_challenges(client, header, code):
    """RFC 6750 §3: an error in the challenge, but none where no token was sent at all."""
    answer = client.put(f"{USERS}/1", json={}, headers={"Authorization": header})
    assert (answer.status_code, answer.json["code"]) == (401, code)
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    described = f'error="invalid_token", error_description="{answer.json["message"]}"'
    assert (described in challenge) == (code != "missing_token")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_word_bearer_is_read_in_any_case(make_user, token_of, client, scheme):
    alice = make_user()
    headers = {"Authorization": f"{scheme} {token_of(alice)}"}
    assert client.put(f"{USERS}/{alice.id}", json={}, headers=headers).status_code == 200


def test_a_token_is_refused_by_every_process_once_its_user_has_logged_out(make_user, token_of, server, client):
    """HARDENING C1: 40 tries on a server with two worker processes."""
    alice = make_user()
    token, other = token_of(alice), token_of(alice)
    url = f"{server.url}{USERS}"
    session = requests.Session()
    assert session.post(f"{url}/logout", headers=_bearer(token), timeout=20).json() == {"message": "Logged out"}
    for _ in range(40):
        refused = requests.put(f"{url}/{alice.id}", json={}, headers=_bearer(token), timeout=20)
        assert (refused.status_code, refused.json()["code"]) == (401, "revoked_token")
    assert requests.put(f"{url}/{alice.id}", json={}, headers=_bearer(other), timeout=20).status_code == 200
    session.close()
