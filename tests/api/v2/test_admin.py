"""What admins do with accounts (API.md, `/users`, admin; HARDENING C4, C5, E3, E8)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, bearer, fields_of

ACCOUNTS = f"{V2}/admin/users"
FIELDS = {"id", "username", "display_name", "bio", "avatar_url", "role", "created_at", "email", "mobile", "birth"}


@pytest.fixture
def url(alice):
    return f"{ACCOUNTS}/{alice.id}"


def _names(client, **query):
    return [item["username"] for item in client.get(ACCOUNTS, query_string=query).json["items"]]


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PATCH", 200), ("DELETE", 204)])
def test_an_admin_may_a_user_may_not_and_nobody_is_asked_who_he_is(url, admins, hers, client, method, status):
    """HARDENING E3."""
    assert [person.get(ACCOUNTS).status_code for person in (client, hers, admins)] == [401, 403, 200]
    for person, expected in ((client, 401), (hers, 403), (admins, status)):
        answer = person.open(url, method=method, json={"role": "user"} if method == "PATCH" else None)
        assert answer.status_code == expected


def test_a_user_learns_nothing_of_who_is_there(url, hers):
    there, never = hers.get(url), hers.get(f"{ACCOUNTS}/987654321")
    assert (there.status_code, never.status_code) == (403, 403)


def test_an_admin_sees_an_account_with_its_data_and_it_is_kept_by_nobody(alice, url, admins):
    answer = admins.get(url)
    assert set(answer.json) == FIELDS | {"disabled_at"}
    assert (answer.json["email"], answer.json["disabled_at"]) == (alice.email, None)
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_list_is_oldest_first_filtered_and_paged(root, admins, make_user, sql):
    for n in range(4):
        make_user(username=f"user-{n}", role="admin" if n == 3 else "user")
    sql("UPDATE users SET disabled_at = created_at WHERE username IN ('user-1', 'user-3')")
    sql("UPDATE users SET deleted_at = created_at WHERE username = 'user-2'")
    assert _names(admins) == ["root", "user-0", "user-1", "user-3"]
    assert _names(admins, role="admin") == ["root", "user-3"]
    assert (_names(admins, disabled="true"), _names(admins, disabled="false")) == (
        ["user-1", "user-3"],
        ["root", "user-0"],
    )
    assert _names(admins, disabled="true", role="admin") == ["user-3"]
    first = admins.get(f"{ACCOUNTS}?limit=3&total=true").json
    assert (first["page"]["total"], first["page"]["prev"]) == (4, None)
    second = admins.get(ACCOUNTS, query_string={"limit": 3, "cursor": first["page"]["next"]}).json
    assert [item["username"] for item in second["items"]] == ["user-3"]
    assert _names(admins, limit=3, cursor=second["page"]["prev"]) == ["root", "user-0", "user-1"]


@pytest.mark.parametrize("query", ["role=king", "disabled=1", "limit=0", "cursor=x", "total=1", "sort=id", "q=x"])
def test_a_bad_or_unknown_parameter_is_refused_by_name(admins, query):
    answer = admins.get(f"{ACCOUNTS}?{query}")
    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])


def test_a_role_is_given_and_taken_at_once(alice, url, admins, hers):
    """HARDENING C5: with the token that she has."""
    assert hers.get(ACCOUNTS).status_code == 403
    assert admins.patch(url, json={"role": "admin"}).json["role"] == "admin"
    assert (hers.get(ACCOUNTS).status_code, hers.get(f"{V2}/me").json["role"]) == (200, "admin")
    admins.patch(url, json={"role": "user"})
    assert (hers.get(ACCOUNTS).status_code, hers.patch(url, json={"role": "admin"}).status_code) == (403, 403)


def test_a_shut_account_is_out_at_once_with_every_token(alice, url, admins, hers, log_in, refresh, me, client):
    """HARDENING C4: reads whose answers are kept, writes, refresh and login."""
    tokens = log_in().json
    assert me(tokens["access_token"]).status_code == hers.get(f"{V2}/todos").status_code == 200
    shut = admins.patch(url, json={"disabled": True})
    assert (shut.status_code, shut.json["disabled_at"] is not None) == (200, True)
    assert [hers.get(f"{V2}{path}").status_code for path in ("/me", "/todos", "/notifications")] == [401] * 3
    assert hers.post(f"{V2}/todos", json={"task": "x"}).json["code"] == "revoked_token"
    assert (me(tokens["access_token"]).status_code, refresh(tokens["refresh_token"]).status_code) == (401, 401)
    assert client.get("/api/v1/todos", headers=bearer(tokens["access_token"])).status_code == 401
    assert log_in().json["code"] == "invalid_credentials"


def test_an_account_that_is_opened_again_lets_in_who_logs_in_again(url, admins, hers, log_in):
    admins.patch(url, json={"disabled": True})
    assert admins.patch(url, json={"disabled": False}).json["disabled_at"] is None
    assert (log_in().status_code, hers.get(f"{V2}/me").status_code) == (200, 401)


def test_to_shut_twice_keeps_the_first_time(url, admins):
    first = admins.patch(url, json={"disabled": True}).json
    assert admins.patch(url, json={"disabled": True}).json == first


def test_a_shut_accounts_posts_stay_to_be_read(alice, url, admins, make_post, client):
    post = make_post(alice)
    admins.patch(url, json={"disabled": True})
    assert client.get(f"{V2}/posts/{post.id}").status_code == 200
    assert client.get(f"{V2}/users/{alice.id}").status_code == 200


@pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}, {"role": "user", "disabled": True}, None])
def test_the_last_admin_stays(root, admins, make_user, sql, change):
    """HARDENING E8. One who is shut out or deleted is none."""
    for column in ("disabled_at", "deleted_at"):
        other = make_user(role="admin")
        sql(f"UPDATE users SET {column} = created_at WHERE id = :id", id=other.id)
    url = f"{ACCOUNTS}/{root.id}"
    answer = admins.patch(url, json=change) if change else admins.delete(url)
    assert (answer.status_code, answer.json["code"]) == (409, "last_admin")
    assert (admins.get(url).json["role"], admins.get(url).json["disabled_at"]) == ("admin", None)


@pytest.mark.parametrize(
    ("change", "status"), [({"role": "user"}, 403), ({"disabled": True}, 401), (None, 401)], ids=str
)
def test_one_of_two_admins_may_go_and_is_none_from_then_on(root, admins, make_user, change, status):
    make_user(role="admin")
    url = f"{ACCOUNTS}/{root.id}"
    assert (admins.patch(url, json=change) if change else admins.delete(url)).status_code in (200, 204)
    assert admins.get(url).status_code == status


def test_of_two_changes_both_or_none_are_made(root, alice, url, admins, make_user):
    assert admins.patch(url, json={"role": "admin", "disabled": True}).json["role"] == "admin"
    mine = f"{ACCOUNTS}/{root.id}"
    assert admins.patch(mine, json={"role": "admin", "disabled": True}).status_code == 409
    assert admins.patch(mine, json={}).json["disabled_at"] is None


def test_a_deleted_account_is_gone_with_its_posts(alice, url, admins, hers, make_post, client):
    """HARDENING C4."""
    post = make_post(alice)
    paths = (f"{V2}/posts/{post.id}", f"{V2}/users/{alice.id}", f"/api/v1/users/{alice.id}")
    assert [client.get(path).status_code for path in paths] == [200] * 3
    answer = admins.delete(url)
    assert (answer.status_code, answer.data) == (204, b"")
    assert [client.get(path).status_code for path in paths] == [404] * 3
    assert (admins.get(url).status_code, admins.delete(url).status_code) == (404, 404)
    assert hers.get(f"{V2}/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        *({"role": value} for value in ("king", None, 7, "Admin")),
        *({"disabled": value} for value in (None, "true", 1)),
        *({name: "x"} for name in ("username", "email", "password", "id", "disabled_at", "")),
    ],
    ids=str,
)
def test_a_bad_or_unknown_field_is_named_and_nothing_is_changed(url, admins, sql, body):
    """HARDENING E4: an admin changes what is his to change, no more."""
    before = sql("SELECT * FROM users ORDER BY id")
    answer = admins.patch(url, json=body)
    assert (answer.status_code, fields_of(answer)) == (422, list(body))
    assert sql("SELECT * FROM users ORDER BY id") == before


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_to_an_account_that_has_moved_on_is_412(url, admins, hers, method):
    state = {"If-Match": admins.get(url).headers["ETag"]}
    hers.patch(f"{V2}/me", json={"bio": "Somebody was faster"})
    assert admins.open(url, method=method, json={"disabled": True}, headers=state).status_code == 412
    assert admins.get(url).json["disabled_at"] is None
    now = {"If-Match": admins.get(url).headers["ETag"]}
    assert admins.open(url, method=method, json={"disabled": True}, headers=now).status_code in (200, 204)
