"""v1's users, beyond the tutorials' walk (API.md, v1; HARDENING E)."""

from __future__ import annotations

import pytest

from tests.factories import PASSWORD

USERS = "/api/v1/users"
PUBLIC = {"id", "username", "role", "created_at"}
OWN = PUBLIC | {"email", "mobile", "age", "birth"}
SECRETS = {"email": "alice@secret.example", "mobile": "+49 170 1234567", "age": 33, "birth": "1993-08-23"}
NEW = {"username": "dora", "password": PASSWORD}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Who sees what


def test_everybody_sees_four_fields_of_a_user_and_no_more(client, make_user):
    alice = make_user(**SECRETS)
    assert set(client.get(f"{USERS}/{alice.id}").json) == PUBLIC
    assert [set(user) for user in client.get(USERS).json] == [PUBLIC]


@pytest.mark.parametrize("warmed_by_the_owner", [True, False])
def test_a_reader_gets_the_same_bytes_with_and_without_a_token(client, make_user, as_user, warmed_by_the_owner):
    alice = make_user(**SECRETS)
    readers = [as_user(alice), client, as_user(make_user(role="admin"))]
    if not warmed_by_the_owner:
        readers.reverse()
    for url in (USERS, f"{USERS}/{alice.id}"):
        answers = {reader.get(url).data for reader in readers}
        assert len(answers) == 1
        assert b"secret.example" not in answers.pop()


def test_registering_answers_with_ones_own_data(register, client):
    info = {"age": 33, "birth": "2023-08-23 12:30:59"}
    made = register(email="dora@example.org", mobile="+49 170 1234567", info=info)
    assert made.status_code == 201
    assert set(made.json) == OWN
    expected = {"username": "dora", "role": "user", "email": "dora@example.org", "mobile": "+49 170 1234567", **info}
    assert made.json | expected == made.json
    assert made.headers["Location"] == f"{USERS}/{made.json['id']}"
    assert client.get(made.headers["Location"]).json == {name: made.json[name] for name in PUBLIC}


def test_updating_answers_with_ones_own_data(make_user, as_user):
    alice = make_user(**SECRETS)
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json={"mobile": "0123 456"})
    assert set(answer.json) == OWN
    assert answer.json | SECRETS | {"mobile": "0123 456"} == answer.json


def test_an_update_is_partial(make_user, as_user, sql):
    alice = make_user(**SECRETS)
    as_user(alice).put(f"{USERS}/{alice.id}", json={"info": {"age": 34}})
    rows = sql("SELECT email, mobile, age, birth FROM users WHERE id = :id", id=alice.id)
    assert tuple(rows[0]) == tuple((SECRETS | {"age": 34}).values())


@pytest.mark.parametrize("name", ["email", "mobile", "age", "birth"])
def test_null_takes_a_personal_detail_away(make_user, as_user, name):
    alice = make_user(**SECRETS)
    assert as_user(alice).put(f"{USERS}/{alice.id}", json={name: None}).json[name] is None


def test_a_client_may_put_back_what_it_got(make_user, as_user, register, client):
    made = register(email="d@example.org", mobile="0123", info={"age": 3, "birth": "2023-08-23"}).json
    token = client.post(f"{USERS}/login", json=NEW).json["token"]
    for got in (made, client.get(f"{USERS}/{made['id']}").json):
        answer = client.put(f"{USERS}/{made['id']}", json=got, headers=_bearer(token))
        assert (answer.status_code, answer.json) == (200, made)


def test_an_admin_changes_anybodys_data(make_user, as_user):
    alice = make_user()
    answer = as_user(make_user(role="admin")).put(f"{USERS}/{alice.id}", json={"username": "alicia", "role": "admin"})
    assert (answer.json["username"], answer.json["role"]) == ("alicia", "admin")


# What is never written (HARDENING E4)

FORGED = {
    "id": 4711,
    "is_admin": True,
    "created_at": "2001-01-01T00:00:00Z",
    "deleted_at": "2001-01-01T00:00:00Z",
    "disabled_at": "2001-01-01T00:00:00Z",
    "password_hash": "forged",
    "username_key": "forged",
    "token_version": 9,
}


def test_registering_ignores_what_is_not_the_clients_to_say(register, sql):
    assert register(**FORGED).status_code == 201
    (row,) = sql("SELECT * FROM users")
    written = row._mapping
    assert not {name for name, value in FORGED.items() if str(written.get(name)).startswith(str(value)[:10])}
    assert (written["role"], written["username_key"], written["deleted_at"]) == ("user", "dora", None)


def test_updating_ignores_what_is_not_the_clients_to_say(make_user, as_user, sql):
    alice = make_user()
    before = sql("SELECT * FROM users")
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json=FORGED)
    assert answer.status_code == 200
    assert sql("SELECT * FROM users") == before


# Roles


@pytest.mark.parametrize(
    ("caller", "status", "text"),
    [("nobody", 403, "Admin access required"), ("user", 403, "Admin access required"), ("admin", 201, None)],
)
def test_only_an_admin_registers_an_admin(client, make_user, as_user, sql, caller, status, text):
    sender = client if caller == "nobody" else as_user(make_user(role=caller))
    answer = sender.post(USERS, json=NEW | {"role": "admin"})
    assert (answer.status_code, answer.json.get("message")) == (status, text)
    assert sql("SELECT role FROM users WHERE username = 'dora'") == ([("admin",)] if status == 201 else [])


def test_registering_an_admin_with_a_broken_token_says_that_the_token_is_broken(client):
    answer = client.post(USERS, json=NEW | {"role": "admin"}, headers=_bearer("x"))
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")


def test_the_role_user_is_for_anyone_to_ask_for(register):
    assert register(role="user").json["role"] == "user"


def test_a_user_cannot_make_himself_an_admin(make_user, as_user, sql):
    alice = make_user()
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json={"role": "admin", "mobile": "0123"})
    assert (answer.status_code, answer.json["message"]) == (403, "Admin access required")
    assert sql("SELECT role, mobile FROM users") == [("user", None)]  # nor is anything else written


def test_a_demoted_admin_is_refused_at_his_next_request(make_user, as_user):
    first, second = make_user(role="admin"), make_user(role="admin")
    demoted = as_user(second)
    assert as_user(first).put(f"{USERS}/{second.id}", json={"role": "user"}).status_code == 200
    assert demoted.delete(f"{USERS}/{first.id}").status_code == 403


@pytest.mark.parametrize("how", ["delete", "demote"])
def test_the_last_admin_stays(make_user, as_user, sql, how):
    """HARDENING E8. A disabled or deleted admin does not count."""
    root, _ = make_user(role="admin"), make_user()
    shut, gone = make_user(role="admin"), make_user(role="admin")
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=shut.id)
    sql("UPDATE users SET deleted_at = created_at WHERE id = :id", id=gone.id)
    url, admin = f"{USERS}/{root.id}", as_user(root)
    answer = admin.delete(url) if how == "delete" else admin.put(url, json={"role": "user"})
    assert (answer.status_code, answer.json["error"]) == (409, "Conflict")
    assert sql("SELECT role, deleted_at FROM users WHERE id = :id", id=root.id) == [("admin", None)]


@pytest.mark.parametrize("how", ["delete", "demote"])
def test_one_of_two_admins_may_go(make_user, as_user, how):
    root, _ = make_user(role="admin"), make_user(role="admin")
    url, admin = f"{USERS}/{root.id}", as_user(root)
    assert (admin.delete(url) if how == "delete" else admin.put(url, json={"role": "user"})).status_code == 200


# Deleting


def test_a_deleted_users_posts_go_to_the_trash_with_him(make_user, make_post, as_user, sql):
    alice, bob = make_user(), make_user()
    make_post(alice)
    kept = make_post(bob)
    as_user(make_user(role="admin")).delete(f"{USERS}/{alice.id}")
    assert sql("SELECT id FROM posts WHERE deleted_at IS NULL") == [(kept.id,)]
    assert sql("SELECT count(*) FROM posts") == [(2,)]  # in the trash, not away


def test_a_deleted_users_tokens_die(make_user, as_user):
    alice = make_user()
    his = as_user(alice)
    as_user(make_user(role="admin")).delete(f"{USERS}/{alice.id}")
    answer = his.post("/api/v1/posts", json={"title": "x", "content": "y"})
    assert (answer.status_code, answer.json["code"]) == (401, "revoked_token")


def test_a_deleted_user_cannot_log_in(make_user, as_user, log_in):
    alice = make_user(username="alice")
    as_user(make_user(role="admin")).delete(f"{USERS}/{alice.id}")
    assert log_in("alice")[0] == 401


def test_a_deleted_users_name_is_free_again(make_user, as_user, register):
    old = make_user(username="dora")
    as_user(make_user(role="admin")).delete(f"{USERS}/{old.id}")
    new = register()
    assert new.status_code == 201
    assert new.json["id"] != old.id


def test_a_user_is_deleted_once(make_user, as_user):
    alice, admin = make_user(), as_user(make_user(role="admin"))
    assert [admin.delete(f"{USERS}/{alice.id}").status_code for _ in range(2)] == [200, 404]


# Fields


@pytest.mark.parametrize("birth", ["2023-08-23", "2023-08-23 12:30:59", "2023-08-23T12:30:59", None])
def test_a_birth_is_a_date_or_a_date_and_time(register, birth):
    assert register(info={"birth": birth}).json["birth"] == birth


@pytest.mark.parametrize(
    "birth", ["23.08.2023", "2023-02-30", "2023-8-3", "2023-08-23 25:00:00", "2023-08-23Z", "", "٢٠٢٣-08-23", 20230823]
)
def test_a_birth_that_is_no_date_is_refused_by_its_path(register, birth):
    answer = register(info={"birth": birth})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["info.birth"])


def test_a_birth_is_not_compared_with_the_age(register):
    assert register(info={"age": 99, "birth": "2023-08-23"}).status_code == 201


@pytest.mark.parametrize(
    "mobile",
    ["12", "+", "   ", "x" * 5, "0123\x00", "0123<script>", "0123\n", "0" * 33, "+" + "0" * 32, 1234567, ["0123"]],
    ids=ascii,
)
def test_a_mobile_that_is_none_is_refused_by_name(register, sql, mobile):
    answer = register(mobile=mobile)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["mobile"])
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize("mobile", ["13800138000", "+49 (170) 123-45.67", "0" * 32, "+" + "0" * 31])
def test_a_mobile_is_kept_as_it_came(register, mobile):
    assert register(mobile=mobile).json["mobile"] == mobile


def test_every_bad_field_is_named_at_once(register):
    bad = {"username": "a b" * 40, "password": "short", "email": "nobody", "mobile": "call me", "role": "king"}
    answer = register(**bad, info={"age": -1, "birth": "soon"})
    assert answer.status_code == 400
    assert set(answer.json["errors"]) == {*bad, "info.age", "info.birth"}
    assert all(isinstance(text, str) for texts in answer.json["errors"].values() for text in texts)


def test_every_bad_field_of_a_change_is_named_at_once(make_user, as_user):
    alice = make_user()
    bad = {"username": "", "password": 7, "email": "nobody", "mobile": "call me", "role": "king", "age": 1.5}
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json=bad)
    assert answer.status_code == 400
    assert set(answer.json["errors"]) == set(bad)


@pytest.mark.parametrize("body", [[], "x", 7, None, [{"username": "dora"}]], ids=ascii)
def test_a_body_that_is_no_object_is_refused(client, body):
    answer = client.post(USERS, json=body)
    assert answer.status_code == 400
    assert answer.json["message"].startswith("Request must be ")


def test_nobody_hears_the_password_back(register):
    """marshmallow's error carries the data, and RESTX would send it (TRAPS 22)."""
    answer = register(password="hunter2 is my password", email="nobody")
    assert answer.status_code == 400
    assert "hunter2" not in answer.text
