"""Registering, and what everybody sees of a user (API.md, `/users`; HARDENING D, E)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, bearer, fields_of
from tests.factories import PASSWORD

USERS = f"{V2}/users"
PROFILE = {"id", "username", "display_name", "bio", "avatar_url", "role", "created_at", "followers", "following"}
OWN = {"id", "username", "display_name", "bio", "avatar_url", "role", "created_at", "email", "mobile", "birth"}
PRIVATE = {"email": "dora@secret.example", "mobile": "+49 170 1234567", "birth": "1993-08-23"}
PUBLIC = {"display_name": "Dora D.", "bio": "Writes\nabout trains.", "avatar_url": "https://images.example.org/d.png"}


@pytest.fixture
def register(client):
    """register(username=…): the answer to a registration; of dora with a good password unless told."""

    def send(**body):
        return client.post(USERS, json={"username": "dora", "password": PASSWORD} | body)

    return send


# Registering


def test_registering_answers_with_ones_own_data(register, client):
    made = register(**PRIVATE, **PUBLIC)
    assert made.status_code == 201
    assert set(made.json) == OWN
    assert made.json | PRIVATE | PUBLIC | {"username": "dora", "role": "user"} == made.json
    assert made.headers["Location"] == f"{USERS}/{made.json['id']}"
    assert client.get(made.headers["Location"]).json["username"] == "dora"


def test_who_has_registered_can_log_in(register, log_in, me):
    made = register().json
    assert me(log_in("dora").json["access_token"]).json == made


@pytest.mark.parametrize("password", ["12345678", "PASSWORD123", "password1", "Iloveyou1"[:8], "dora-the-great"])
@pytest.mark.parametrize("environment", ["development", "production"])
def test_an_easy_password_is_refused_everywhere(register, app, monkeypatch, sql, password, environment):
    """HARDENING D16; v1 lets it pass on a developer's machine."""
    monkeypatch.setitem(app.config, "APP_ENV", environment)
    answer = register(username="Dora-The-Great", password=password)
    assert (answer.status_code, fields_of(answer)) == (422, ["password"])
    assert {error["code"] for error in answer.json["errors"]} == {"too_weak"}
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize(
    "password", [*("x" * n for n in (8, 72, 73, 128)), "\N{GRINNING FACE}" * 19, "  spaces are kept  "], ids=len
)
def test_a_password_of_8_to_128_characters_opens_what_it_registered(register, log_in, password):
    """HARDENING D14."""
    assert register(password=password).status_code == 201
    assert [log_in("dora", word).status_code for word in (password, password[:-1] + "!")] == [200, 401]


@pytest.mark.parametrize(
    "password", ["x" * 7, "x" * 129, "marker\x00 inside", " " * 9, "", None, 12345678, ["x" * 8]], ids=ascii
)
def test_a_password_that_is_none_is_refused_by_name(register, sql, password):
    """HARDENING D15."""
    answer = register(password=password)
    assert (answer.status_code, set(fields_of(answer))) == (422, {"password"})
    assert "marker" not in answer.text
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize("name", ["dora", "DORA", "ｄｏｒａ"])
def test_a_taken_name_is_a_conflict_that_names_the_field(register, sql, name):
    """HARDENING D12."""
    register()
    answer = register(username=name)
    assert (answer.status_code, answer.json["code"], fields_of(answer)) == (409, "taken", ["username"])
    assert sql("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("name", ["", " ", "a b", "dora\u200b", "do\nra", "x" * 81, "ﷺ" * 50, None, 7], ids=ascii)
def test_a_name_that_is_none_is_refused_by_name(register, name):
    answer = register(username=name)
    assert (answer.status_code, set(fields_of(answer))) == (422, {"username"})


FORGED = {
    "id": 4711,
    "role": "admin",
    "is_admin": True,
    "password_hash": "forged",
    "username_key": "forged",
    "created_at": "2001-01-01T00:00:00Z",
    "disabled_at": None,
    "deleted_at": None,
    "token_version": 9,
    "age": 3,
    "info": {"age": 3},
    "current_password": PASSWORD,
    "followers": 9,
    "": 1,
}


def test_what_is_not_the_clients_to_say_is_refused_by_name(register, sql):
    """HARDENING E4."""
    answer = register(**FORGED)
    assert answer.status_code == 422
    assert {(e["field"], e["code"]) for e in answer.json["errors"]} == {(name, "unknown") for name in FORGED}
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize("role", ["user", "admin"])
def test_nobody_registers_with_a_role_not_even_an_admin(admins, role):
    """There is the admins' own address for roles."""
    answer = admins.post(USERS, json={"username": "dora", "password": PASSWORD, "role": role})
    assert fields_of(answer) == ["role"]


def test_a_broken_token_does_not_keep_anybody_from_registering(client):
    answer = client.post(USERS, json={"username": "dora", "password": PASSWORD}, headers=bearer("x"))
    assert answer.status_code == 201


def test_every_bad_field_is_named_at_once(register):
    bad = {"username": "x" * 81, "password": "short", "email": "nobody", "mobile": "call me", "birth": "soon"}
    bad |= {"display_name": "x" * 81, "bio": "x" * 2001, "avatar_url": "javascript:alert(1)", "role": "king"}
    answer = register(**bad)
    assert answer.status_code == 422
    assert set(fields_of(answer)) == set(bad)


@pytest.mark.parametrize(
    "url",
    [
        *("x", "//x.example", "ftp://x.example/a", "javascript:alert(1)//http://x.example", "data:image/png;base64,x"),
        *("https://x.example/" + "a" * 2048, "https://x.example/\n", "https://x.example/\x00", "https://", 7),
        *(" https://x.example/a", "https://x.example/a b", 'https://x.example/">'),
    ],
    ids=lambda url: ascii(url)[:40],
)
def test_an_avatar_is_a_plain_address_of_the_web(register, url):
    answer = register(avatar_url=url)
    assert (answer.status_code, set(fields_of(answer))) == (422, {"avatar_url"})


@pytest.mark.parametrize("birth", ["1993-08-23", "1993-08-23 12:30:59", "1993-08-23T12:30:59", None])
def test_a_birth_is_a_date_or_a_date_and_time(register, birth):
    assert register(birth=birth).json["birth"] == birth


def test_nobody_hears_the_password_back(register):
    answer = register(password="hunter2 is my password", email="nobody")
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


# Profiles


@pytest.fixture
def dora(make_user):
    return make_user(username="dora", age=33, **PRIVATE, **PUBLIC)


def test_everybody_sees_the_profile_and_nothing_private(dora, client):
    answer = client.get(f"{USERS}/{dora.id}")
    assert set(answer.json) == PROFILE
    assert answer.json | PUBLIC | {"username": "dora", "followers": 0, "following": 0} == answer.json
    assert not [value for value in PRIVATE.values() if value in answer.text]


def test_a_profile_is_the_same_bytes_for_everybody(dora, client, acting, admins):
    readers = [acting(dora), client, admins]
    for _ in range(2):
        assert len({reader.get(f"{USERS}/{dora.id}").data for reader in readers}) == 1


@pytest.mark.parametrize("path", ["", "/followers", "/following"])
@pytest.mark.parametrize("who", ["unknown", "deleted"])
def test_who_is_not_there_has_no_profile(dora, client, sql, path, who):
    url = f"{USERS}/{dora.id}{path}"
    assert client.get(url).status_code == 200
    sql("UPDATE users SET deleted_at = created_at")
    answer = client.get(url if who == "deleted" else f"{USERS}/987654321{path}")
    assert (answer.status_code, answer.json["detail"]) == (404, "User not found")


def test_v2_has_no_public_list_of_users(client, hers):
    """HARDENING E3."""
    assert [one.get(USERS).status_code for one in (client, hers)] == [405, 405]


def test_a_new_name_is_seen_in_profile_and_posts_at_once(dora, acting, make_post, client):
    post, his = make_post(dora), acting(dora)
    urls = (f"{USERS}/{dora.id}", f"{V2}/posts?include=author", f"{V2}/posts/{post.id}?include=author")
    assert all("dora" in client.get(url).text for url in urls)
    assert his.patch(f"{V2}/me", json={"username": "theodora"}).status_code == 200
    assert all('"theodora"' in client.get(url).text for url in urls)
