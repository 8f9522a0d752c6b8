"""What happens when two write at once, on real servers (HARDENING D11, E9): one comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.factories import PASSWORD

USERS = "/api/v1/users"
POSTS = "/api/v1/posts"
NEW = {"username": "dora", "password": PASSWORD}
ROUNDS = 20


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def at_once(server):
    """at_once((method, path, token, body) …): the answers to requests that are sent at the same time."""
    sessions = [requests.Session() for _ in range(3)]
    pool = ThreadPoolExecutor(len(sessions))

    def send(call: tuple) -> requests.Response:
        session, (method, path, token, body) = call
        return session.request(method, f"{server.url}{path}", json=body, headers=_bearer(token), timeout=20)

    yield lambda *calls: list(pool.map(send, zip(sessions, calls, strict=False)))
    pool.shutdown()
    for session in sessions:
        session.close()


def test_two_admins_who_delete_each_other_leave_one(at_once, make_user, token_of, sql):
    for _ in range(ROUNDS):
        a, b = make_user(role="admin"), make_user(role="admin")
        answers = at_once(
            ("DELETE", f"{USERS}/{b.id}", token_of(a), None), ("DELETE", f"{USERS}/{a.id}", token_of(b), None)
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses in ([200, 401], [200, 403], [200, 409])
        assert len(sql("SELECT id FROM users WHERE deleted_at IS NULL")) == 1
        sql("DELETE FROM users")


@pytest.mark.parametrize("ways", [("demote", "demote"), ("delete", "delete"), ("delete", "demote")], ids=" and ".join)
def test_of_three_admins_two_who_shut_each_other_out_leave_one_of_them(at_once, make_user, token_of, sql, ways):
    """Whoever comes second is no admin any more."""
    make_user(role="admin")
    for _ in range(ROUNDS):
        a, b = make_user(role="admin"), make_user(role="admin")
        calls = [
            ("DELETE", f"{USERS}/{other.id}", token_of(one), None)
            if way == "delete"
            else ("PUT", f"{USERS}/{other.id}", token_of(one), {"role": "user"})
            for way, one, other in zip(ways, (a, b), (b, a), strict=True)
        ]
        first, second = sorted(answer.status_code for answer in at_once(*calls))
        assert (first, second) in ((200, 401), (200, 403))
        rows = sql(
            "SELECT id FROM users WHERE role = 'admin' AND deleted_at IS NULL AND id IN (:a, :b)", a=a.id, b=b.id
        )
        assert len(rows) == 1


def test_an_admin_who_is_demoted_while_he_deletes_does_one_of_the_two_first(at_once, make_user, token_of, sql):
    root = make_user(role="admin")
    mighty = token_of(root)
    for _ in range(ROUNDS):
        other, victim = make_user(role="admin"), make_user()
        demoted, deleted = at_once(
            ("PUT", f"{USERS}/{other.id}", mighty, {"role": "user"}),
            ("DELETE", f"{USERS}/{victim.id}", token_of(other), None),
        )
        assert demoted.status_code == 200
        gone = sql("SELECT deleted_at FROM users WHERE id = :id", id=victim.id)[0][0] is not None
        assert (deleted.status_code, gone) in [(200, True), (403, False)]


def test_a_user_who_is_deleted_while_he_writes_leaves_no_post(at_once, make_user, token_of, sql):
    admin = token_of(make_user(role="admin"))
    for _ in range(ROUNDS):
        alice = make_user()
        written, deleted = at_once(
            ("POST", "/api/v1/posts", token_of(alice), {"title": "x", "content": "y"}),
            ("DELETE", f"{USERS}/{alice.id}", admin, None),
        )
        assert (written.status_code in (201, 401), deleted.status_code) == (True, 200)
        assert sql("SELECT id FROM posts WHERE user_id = :id AND deleted_at IS NULL", id=alice.id) == []


def test_one_of_two_who_change_a_password_at_once_is_told_that_it_has_changed(at_once, make_user, token_of, log_in):
    """The second one's `current_password` is wrong by then, and his session has ended."""
    for n in range(ROUNDS):
        alice = make_user(username=f"alice{n}")
        change = {"password": "the first of two", "current_password": PASSWORD}
        calls = [
            ("PUT", f"{USERS}/{alice.id}", token_of(alice), change | {"password": word})
            for word in ("the first of two", "the second of two")
        ]
        answers = at_once(*calls)
        assert sorted(answer.status_code for answer in answers) in ([200, 400], [200, 401])
        winner = calls[[answer.status_code for answer in answers].index(200)][3]["password"]
        assert log_in(alice.username, winner)[0] == 200


def test_a_login_with_the_old_password_ends_with_it(at_once, make_user, token_of, client):
    for n in range(ROUNDS):
        alice = make_user(username=f"alice{n}")
        change = {"password": "another good one", "current_password": PASSWORD}
        changed, login = at_once(
            ("PUT", f"{USERS}/{alice.id}", token_of(alice), change),
            ("POST", f"{USERS}/login", "", {"username": alice.username, "password": PASSWORD}),
        )
        assert changed.status_code == 200
        if login.status_code == 200:
            headers = _bearer(login.json()["token"])
            assert client.put(f"{USERS}/{alice.id}", json={}, headers=headers).status_code == 401


def test_two_who_change_different_fields_at_once_each_see_a_state_that_was(at_once, make_user, token_of):
    """One comes first, and the other's answer shows it."""
    for _ in range(ROUNDS):
        alice = make_user()
        one, other = at_once(
            ("PUT", f"{USERS}/{alice.id}", token_of(alice), {"mobile": "0123"}),
            ("PUT", f"{USERS}/{alice.id}", token_of(alice), {"birth": "2001-01-01"}),
        )
        assert (one.status_code, other.status_code) == (200, 200)
        assert one.json()["birth"] == "2001-01-01" or other.json()["mobile"] == "0123"


def test_twenty_who_register_one_name_at_once_are_one_account(server, sql):
    """HARDENING D11."""

    def send(n: int) -> int:
        return requests.post(f"{server.url}{USERS}", json=NEW | {"mobile": f"{n:03}"}, timeout=20).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(send, range(20)))
    assert statuses == [201] + [400] * 19
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_an_edit_and_a_delete_at_once_come_one_after_the_other(at_once, alice, token_of, make_post, client, sql):
    token = token_of(alice)
    for _ in range(ROUNDS):
        post = make_post(alice, title="old")
        edited, deleted = at_once(
            ("PUT", f"{POSTS}/{post.id}", token, {"title": "new"}), ("DELETE", f"{POSTS}/{post.id}", token, None)
        )
        assert deleted.status_code == 200
        title = sql("SELECT title FROM posts WHERE id = :id", id=post.id)[0][0]
        assert (edited.status_code, title) in [(200, "new"), (404, "old")]
        assert client.get(f"{POSTS}/{post.id}").status_code == 404


def test_of_two_edits_at_once_the_later_answer_shows_both(at_once, alice, token_of, make_post, client):
    token = token_of(alice)
    for _ in range(ROUNDS):
        post = make_post(alice, title="old", content="old")
        answers = at_once(
            ("PUT", f"{POSTS}/{post.id}", token, {"title": "new"}),
            ("PUT", f"{POSTS}/{post.id}", token, {"content": "new"}),
        )
        assert [answer.status_code for answer in answers] == [200, 200]
        assert client.get(f"{POSTS}/{post.id}").json in [answer.json() for answer in answers]


def test_a_post_is_deleted_once_however_many_delete_it(at_once, alice, token_of, make_post):
    token = token_of(alice)
    for _ in range(ROUNDS):
        post = make_post(alice)
        answers = at_once(*[("DELETE", f"{POSTS}/{post.id}", token, None)] * 2)
        assert sorted(answer.status_code for answer in answers) == [200, 404]


def test_deleting_all_while_one_is_deleted_counts_each_post_once(at_once, alice, make_user, token_of, make_post):
    token, admin = token_of(alice), token_of(make_user(role="admin"))
    for _ in range(ROUNDS):
        post = make_post(alice)
        one, every = at_once(("DELETE", f"{POSTS}/{post.id}", token, None), ("DELETE", f"{POSTS}/all", admin, None))
        assert (one.status_code, every.json()["count"]) in [(200, 0), (404, 1)]
