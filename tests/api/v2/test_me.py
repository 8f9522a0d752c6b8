"""One's own account (API.md, `/me`; HARDENING D18, E4)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, fields_of
from tests.factories import PASSWORD

ME = f"{V2}/me"
OWN = {"id", "username", "display_name", "bio", "avatar_url", "role", "created_at", "email", "mobile", "birth"}
DETAILS = {
    "display_name": "Alice L.",
    "bio": "Writes about trains.",
    "avatar_url": "http://images.example.org/a.png",
    "mobile": "+49 170 1234567",
    "birth": "1993-08-23 12:30:59",
}


def test_one_sees_ones_own_data_there(alice, hers, admins):
    assert set(hers.get(ME).json) == OWN
    assert (hers.get(ME).json["id"], hers.get(ME).json["email"]) == (alice.id, alice.email)
    assert admins.get(ME).json["username"] == "root"


def test_it_is_ones_own_and_is_asked_for_each_time(hers):
    answer = hers.get(ME)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer.headers["Vary"]
    assert hers.get(ME, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", DETAILS)
def test_a_detail_is_changed_alone_and_taken_away_by_null(hers, name):
    before = hers.get(ME).json
    for value in (DETAILS[name], None):
        answer = hers.patch(ME, json={name: value})
        assert (answer.status_code, answer.json) == (200, before | {name: value})
        assert hers.get(ME).json == answer.json


def test_a_change_of_nothing_changes_nothing(hers, sql):
    before = sql("SELECT * FROM users")
    assert hers.patch(ME, json={}).status_code == 200
    assert hers.patch(ME, json={"current_password": PASSWORD}).status_code == 200
    assert sql("SELECT * FROM users") == before


@pytest.mark.parametrize("given", [{}, {"current_password": "not that one"}, {"current_password": ""}], ids=str)
@pytest.mark.parametrize("email", ["new@example.org", None])
def test_another_address_needs_the_password(alice, hers, sql, email, given):
    """HARDENING D18: who holds a token for a moment shall not keep the account. Nothing else is changed either."""
    answer = hers.patch(ME, json={"email": email, "bio": "changed"} | given)
    assert (answer.status_code, fields_of(answer)) == (422, ["current_password"])
    assert sql("SELECT email, bio FROM users") == [(alice.email, None)]


@pytest.mark.parametrize("email", ["new@example.org", None])
def test_with_the_password_the_address_changes_and_the_session_goes_on(hers, email):
    assert hers.patch(ME, json={"email": email, "current_password": PASSWORD}).json["email"] == email
    assert hers.get(ME).json["email"] == email


def test_the_address_that_it_is_already_needs_no_password(alice, hers):
    """A form sends all its fields."""
    answer = hers.patch(ME, json={"email": alice.email, "bio": "changed"})
    assert (answer.status_code, answer.json["bio"]) == (200, "changed")


def test_an_admin_needs_his_own_password_for_his_own_address(admins):
    assert fields_of(admins.patch(ME, json={"email": "new@example.org"})) == ["current_password"]


FORGED = {
    "id": 4711,
    "role": "admin",
    "is_admin": True,
    "password": "staple correct horse",
    "password_hash": "x",
    "username_key": "x",
    "created_at": "2001-01-01T00:00:00Z",
    "disabled_at": None,
    "age": 3,
    "info": {},
}


def test_what_is_not_ones_own_to_say_is_refused_by_name(hers, sql):
    """HARDENING E4."""
    before = sql("SELECT * FROM users")
    answer = hers.patch(ME, json={"bio": "changed", **FORGED})
    assert answer.status_code == 422
    assert {(e["field"], e["code"]) for e in answer.json["errors"]} == {(name, "unknown") for name in FORGED}
    assert sql("SELECT * FROM users") == before


def test_a_taken_name_is_a_conflict_that_names_the_field(hers, make_user):
    make_user(username="bob")
    answer = hers.patch(ME, json={"username": "BOB", "bio": "changed"})
    assert (answer.status_code, answer.json["code"], fields_of(answer)) == (409, "taken", ["username"])
    assert hers.get(ME).json["bio"] is None


@pytest.mark.parametrize("name", ["ALICE", "Alice", "alice"])
def test_ones_own_name_may_be_written_otherwise(hers, name):
    assert hers.patch(ME, json={"username": name}).json["username"] == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("username", value) for value in ("", None, "a b", "x" * 81)),
        *(("display_name", value) for value in ("x" * 81, 7, "\x00")),
        *(("bio", value) for value in ("x" * 2001, ["x"], "a\x00b")),
        *(("email", value) for value in ("nobody", "", 7, "x" * 250 + "@example.org", "a@b.example\x00")),
        *(("mobile", value) for value in ("12", "call me", 1234567)),
        *(("birth", value) for value in ("soon", "2023-02-30", "1993-08-23Z", 19930823)),
        *(("avatar_url", value) for value in ("x", "", "javascript:alert(1)")),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_bad_field_is_named(hers, sql, field, value):
    before = sql("SELECT * FROM users")
    answer = hers.patch(ME, json={field: value, "current_password": PASSWORD})
    assert (answer.status_code, set(fields_of(answer))) == (422, {field})
    assert sql("SELECT * FROM users") == before


def test_a_change_under_a_state_that_is_no_more_is_412(hers):
    state = {"If-Match": hers.get(ME).headers["ETag"]}
    assert hers.patch(ME, json={"bio": "one"}, headers=state).status_code == 200
    assert hers.patch(ME, json={"bio": "two"}, headers=state).status_code == 412
    assert hers.get(ME).json["bio"] == "one"


@pytest.mark.parametrize("query", ["fields=id", "x=1", "=1"])
def test_it_takes_no_parameters(hers, query):
    answer = hers.get(f"{ME}?{query}")
    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])
