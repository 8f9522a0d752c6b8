"""Logging in by name or mail, refreshing, logging out (API.md, `/auth`; HARDENING C)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests

from app import tokens
from app.extensions import db
from tests.api.v2.conftest import V2, bearer, fields_of
from tests.factories import PASSWORD

AUTH = f"{V2}/auth"


@pytest.fixture(autouse=True)
def _alice(alice):
    """Everybody here is Alice."""


def _claims(token):
    return jwt.decode(token, options={"verify_signature": False})


# Logging in


@pytest.mark.parametrize("name", ["alice", "ALICE", "ａｌｉｃｅ", "alice@example.org", "Alice@EXAMPLE.org"])
def test_a_name_or_a_mail_address_in_any_case_logs_in(alice, log_in, me, name):
    answer = log_in(name)
    assert answer.status_code == 200
    assert me(answer.json["access_token"]).json["id"] == alice.id


def test_of_two_accounts_with_one_address_the_first_has_it(alice, make_user, log_in, me):
    """No address is verified: nobody takes another's login away by giving his."""
    make_user(email="ALICE@example.org")
    assert me(log_in("alice@example.org").json["access_token"]).json["id"] == alice.id


def test_a_name_comes_before_an_address(alice, make_user, log_in, me):
    make_user(email="elsewhere@example.org", username="alice@example.org")
    assert me(log_in("alice@example.org").json["access_token"]).json["username"] == "alice@example.org"


def test_a_deleted_account_gives_its_address_back(alice, make_user, log_in, me, sql):
    sql("UPDATE users SET deleted_at = created_at, username_key = NULL")
    heir = make_user(email=alice.email)
    assert me(log_in(alice.email).json["access_token"]).json["id"] == heir.id


def test_who_cannot_log_in_learns_nothing(make_user, log_in, sql):
    """HARDENING D1: by name and by address, unknown, wrong, disabled and deleted look alike."""
    shut, gone = make_user(username="shut"), make_user(username="gone")
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=shut.id)
    sql("UPDATE users SET deleted_at = created_at, username_key = NULL WHERE id = :id", id=gone.id)
    names = ("nobody", "nobody@example.org", "shut", "shut@example.org", "gone", "gone@example.org", "a b", "", "\x00")
    tries = [(name, PASSWORD) for name in names]
    tries += [(name, word) for name in ("alice", "alice@example.org") for word in ("not that one", "", "\x00")]
    answers = [log_in(*one) for one in tries]
    assert {answer.status_code for answer in answers} == {401}
    for answer in answers:
        assert (answer.json["code"], answer.json["detail"]) == ("invalid_credentials", "Invalid credentials")
    assert len({answer.text.replace(answer.headers["X-Request-ID"], "") for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.keys())) for answer in answers}) == 1


def test_a_null_or_a_missing_name_is_bad_input(client):
    answer = client.post(f"{AUTH}/login", json={"username": None, "mail": "x"})
    assert answer.status_code == 422
    assert {(e["field"], e["code"]) for e in answer.json["errors"]} == {
        ("username", "invalid"),
        ("password", "required"),
        ("mail", "unknown"),
    }


def test_the_tokens_live_as_long_as_the_settings_say(log_in):
    answer = log_in().json
    assert (answer["token_type"], answer["expires_in"], answer["refresh_expires_in"]) == (
        "Bearer",
        15 * 60,
        30 * 24 * 3600,
    )
    access, refresh = _claims(answer["access_token"]), _claims(answer["refresh_token"])
    assert abs(access["exp"] - access["iat"] - answer["expires_in"]) <= 1
    assert abs(refresh["exp"] - refresh["iat"] - answer["refresh_expires_in"]) <= 1


def test_tokens_say_ids_and_times_and_nothing_else(log_in):
    """HARDENING B9: no name, no address, no role."""
    answer = log_in().json
    access, refresh = _claims(answer["access_token"]), _claims(answer["refresh_token"])
    assert set(access) == set(tokens.REQUIRED)
    assert set(refresh) == {*tokens.REQUIRED, "rot"}
    assert (access["aud"], refresh["aud"]) == ("v2", "refresh")
    assert [jwt.get_unverified_header(answer[name])["typ"] for name in ("access_token", "refresh_token")] == [
        "at+jwt",
        "rt+jwt",
    ]


def test_answers_with_tokens_are_kept_by_nobody(log_in, refresh):
    """RFC 6749 §5.1."""
    answers = [log_in(), refresh(log_in().json["refresh_token"])]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * 2


def test_each_login_begins_a_session_of_its_own(log_in, me, refresh):
    """HARDENING C14."""
    one, other = log_in().json, log_in().json
    assert _claims(one["access_token"])["jti"] != _claims(other["access_token"])["jti"]
    assert refresh(one["refresh_token"]).status_code == refresh(other["refresh_token"]).status_code == 200


def test_an_access_token_ends_after_its_time_also_where_it_was_just_used(log_in, me, clock):
    token = log_in().json["access_token"]
    clock.forward(minutes=14)
    assert me(token).status_code == 200
    clock.forward(minutes=1, seconds=11)
    assert (me(token).status_code, me(token).json["code"]) == (401, "expired_token")


# Which token is good where


def test_a_token_is_good_for_its_purpose_alone(alice, log_in, me, refresh, token_of, client):
    """HARDENING B5; v2's access tokens are good in both versions, v1's in v1."""
    ours, theirs = log_in().json, token_of(alice, "v1")
    assert [me(token).json.get("code") for token in (ours["refresh_token"], theirs)] == ["invalid_token"] * 2
    refused = [refresh(token) for token in (ours["access_token"], theirs)]
    assert [(answer.status_code, answer.json["code"]) for answer in refused] == [(401, "invalid_token")] * 2
    in_v1 = client.put(f"/api/v1/users/{alice.id}", json={}, headers=bearer(ours["access_token"]))
    assert in_v1.status_code == 200
    in_v1 = client.put(f"/api/v1/users/{alice.id}", json={}, headers=bearer(ours["refresh_token"]))
    assert in_v1.status_code == 401


@pytest.mark.parametrize("header", ["{}", "Token {}", "Basic {}"])
def test_v2_wants_the_word_bearer(log_in, client, header):
    answer = client.get(f"{V2}/me", headers={"Authorization": header.format(log_in().json["access_token"])})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"refresh_token": "\\ud800"}', 400),
        ('{"refresh_token": "\\u0000"}', 401),
        ('{"refresh_token": "a.\\u0000.b"}', 401),
        ('{"refresh_token": ""}', 401),
        ('{"refresh_token": "null"}', 401),
        ('{"refresh_token": "%s"}' % ("A" * 8192), 401),
        ('{"refresh_token": "%s"}' % ("A" * 10_240), 422),
        ('{"refresh_token": null}', 422),
        ('{"refresh_token": 7}', 422),
        ("{}", 422),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_refresh_token_is_refused_and_nothing_breaks(client, body, status):
    """HARDENING A9."""
    answer = client.post(f"{AUTH}/refresh", data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


# Refreshing


def test_a_refresh_token_is_traded_for_new_tokens_of_the_same_session(alice, log_in, refresh, me):
    first = log_in().json
    second = refresh(first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert me(second["access_token"]).json["id"] == alice.id
    assert _claims(second["access_token"])["jti"] == _claims(first["access_token"])["jti"]
    assert refresh(second["refresh_token"]).status_code == 200


@pytest.fixture
def stolen(log_in, refresh, clock):
    """A refresh token that was traded a while ago, and what it was traded for."""
    old = log_in().json["refresh_token"]
    new = refresh(old).json
    clock.forward(seconds=11)
    return old, new


def test_a_refresh_token_used_twice_ends_the_session(stolen, refresh, me, caplog):
    """HARDENING C7: the newest tokens too, since nobody knows whose they are; and it is noted."""
    old, new = stolen
    assert me(new["access_token"]).status_code == 200
    theft = refresh(old)
    assert (theft.status_code, theft.json["code"]) == (401, "revoked_token")
    assert (me(new["access_token"]).status_code, refresh(new["refresh_token"]).status_code) == (401, 401)
    assert [r.levelname for r in caplog.records if "used twice" in r.message] == ["WARNING"]
    assert old not in caplog.text


def test_a_theft_ends_no_other_session(stolen, log_in, refresh, me):
    other = log_in().json
    refresh(stolen[0])
    assert (me(other["access_token"]).status_code, refresh(other["refresh_token"]).status_code) == (200, 200)


def test_for_ten_seconds_the_same_token_is_answered_again(alice, log_in, refresh, me, clock):
    """The answer may have been lost."""
    lost = log_in().json["refresh_token"]
    first = refresh(lost).json
    clock.forward(seconds=9)
    second = refresh(lost)
    assert second.status_code == 200
    assert {me(one["access_token"]).status_code for one in (first, second.json)} == {200}
    assert refresh(second.json["refresh_token"]).status_code == 200
    assert refresh(first["refresh_token"]).status_code == 200  # of the same rotation, within its own ten seconds


def test_the_grace_is_not_renewed_by_who_asks_for_it(log_in, refresh, clock):
    lost = log_in().json["refresh_token"]
    for seconds, status in ((0, 200), (6, 200), (6, 401)):
        clock.forward(seconds=seconds)
        assert refresh(lost).status_code == status


def test_the_token_before_the_last_is_a_theft_at_any_time(log_in, refresh):
    first = log_in().json["refresh_token"]
    second = refresh(first).json["refresh_token"]
    third = refresh(second).json["refresh_token"]
    assert refresh(first).status_code == 401
    assert refresh(third).status_code == 401


def test_two_windows_that_refresh_at_once_both_go_on(server, alice, log_in, me, refresh):
    token = log_in().json["refresh_token"]

    def trade(_):
        return requests.post(f"{server.url}{AUTH}/refresh", json={"refresh_token": token}, timeout=20)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(trade, range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert {me(answer.json()["access_token"]).status_code for answer in answers} == {200}
    assert refresh(answers[-1].json()["refresh_token"]).status_code == 200


def test_a_session_that_nobody_uses_ends(app, log_in, refresh, clock):
    """HARDENING C9, idle: the refresh token's own time."""
    token = log_in().json["refresh_token"]
    clock.forward(days=app.config["REFRESH_TOKEN_DAYS"], seconds=11)
    answer = refresh(token)
    assert (answer.status_code, answer.json["code"]) == (401, "expired_token")


def test_a_session_that_is_used_every_week_ends_too(app, log_in, refresh, me, clock):
    """HARDENING C9, absolute: no token outlives the session."""
    tokens, longest = log_in().json, app.config["SESSION_DAYS"] * 24 * 3600
    for _ in range(12):
        clock.forward(days=7)
        tokens = refresh(tokens["refresh_token"]).json
    assert tokens["refresh_expires_in"] == pytest.approx(longest - 84 * 24 * 3600, abs=10)
    clock.forward(seconds=tokens["refresh_expires_in"] - 60)
    tokens = refresh(tokens["refresh_token"]).json
    assert tokens["expires_in"] == pytest.approx(60, abs=10)
    clock.forward(seconds=90)
    assert (refresh(tokens["refresh_token"]).status_code, me(tokens["access_token"]).status_code) == (401, 401)


def test_the_sessions_own_end_counts_whatever_its_token_says(log_in, refresh, sql):
    """Who shortens sessions in the database need not wait for the tokens that are out."""
    token = log_in().json["refresh_token"]
    sql("UPDATE sessions SET expires_at = created_at")
    assert refresh(token).json["code"] == "revoked_token"


@pytest.mark.parametrize("column", ["disabled_at", "deleted_at"])
def test_who_is_shut_out_or_gone_does_not_refresh(log_in, refresh, sql, column):
    """HARDENING C4; also where only the user's row says so."""
    token = log_in().json["refresh_token"]
    sql(f"UPDATE users SET {column} = created_at")
    answer = refresh(token)
    assert (answer.status_code, answer.json["code"]) == (401, "revoked_token")


# Logging out, and another password


def test_after_logging_out_neither_token_is_good(log_in, refresh, me, client):
    """HARDENING C1, C2."""
    mine, other = log_in().json, log_in().json
    answer = client.post(f"{AUTH}/logout", headers=bearer(mine["access_token"]))
    assert (answer.status_code, answer.data) == (204, b"")
    assert (me(mine["access_token"]).json["code"], refresh(mine["refresh_token"]).json["code"]) == (
        "revoked_token",
        "revoked_token",
    )
    assert (me(other["access_token"]).status_code, refresh(other["refresh_token"]).status_code) == (200, 200)


@pytest.fixture
def change_password(client):
    """change_password(access token, current, new): the answer."""

    def send(token, current=PASSWORD, new="staple correct horse"):
        body = {"current_password": current, "password": new}
        return client.post(f"{AUTH}/password", json=body, headers=bearer(token))

    return send


def test_another_password_ends_every_session_and_begins_a_new_one(log_in, refresh, me, change_password):
    """HARDENING C3."""
    mine, other = log_in().json, log_in().json
    changed = change_password(mine["access_token"])
    assert changed.status_code == 200
    for old in (mine, other):
        assert (me(old["access_token"]).status_code, refresh(old["refresh_token"]).status_code) == (401, 401)
    assert me(changed.json["access_token"]).status_code == 200
    assert refresh(changed.json["refresh_token"]).status_code == 200
    assert (log_in().status_code, log_in(password="staple correct horse").status_code) == (401, 200)


@pytest.mark.parametrize("current", ["not that one", "", PASSWORD.upper(), "staple correct horse"])
def test_another_password_needs_the_present_one(log_in, me, change_password, current):
    """HARDENING D18."""
    mine = log_in().json["access_token"]
    answer = change_password(mine, current)
    assert (answer.status_code, fields_of(answer)) == (422, ["current_password"])
    assert (me(mine).status_code, log_in().status_code) == (200, 200)


def test_an_admin_needs_his_own_present_password_too(root, log_in, change_password):
    mighty = log_in("root").json["access_token"]
    assert fields_of(change_password(mighty, "not that one")) == ["current_password"]


@pytest.mark.parametrize("word", ["short", "12345678", "Password1", "x" * 129, "ALICE"])
def test_another_password_is_a_good_one(log_in, change_password, word):
    answer = change_password(log_in().json["access_token"], new=word)
    assert (answer.status_code, fields_of(answer)) == (422, ["password"])


def test_no_refresh_token_is_in_the_database(log_in, refresh, app, sql):
    """HARDENING C11: whoever reads a dump cannot become anybody."""
    issued = [log_in().json["refresh_token"] for _ in range(3)]
    issued += [refresh(token).json["refresh_token"] for token in issued]
    dump = "".join(str(sql(f"SELECT * FROM {table.name}")) for table in db.metadata.sorted_tables)
    assert "alice" in dump
    for token in issued:
        assert not [part for part in token.split(".")[1:] if part in dump]
