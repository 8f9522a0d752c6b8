"""What happens in v2 when two write at once, on real servers (HARDENING D11, E9): one comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from app.models.base import now
from tests.api.v2.conftest import V2, bearer
from tests.factories import PASSWORD

ROUNDS = 20
ACCOUNTS = f"{V2}/admin/users"


def _statuses(answers):
    return [answer.status_code for answer in answers]


@pytest.fixture
def her_token(alice, token_of):
    return token_of(alice, "v2")


@pytest.fixture
def mighty(root, token_of):
    """An admin's token."""
    return token_of(root, "v2")


def test_twenty_who_register_one_name_at_once_are_one_account(server, sql):
    """HARDENING D11."""

    def send(n):
        body = {"username": "dora", "password": PASSWORD, "bio": f"{n}"}
        return requests.post(f"{server.url}{V2}/users", json=body, timeout=20)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert sorted(_statuses(answers)) == [201] + [409] * 19
    assert {a.json()["errors"][0]["field"] for a in answers if a.status_code == 409} == {"username"}
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_who_follows_twice_at_once_follows(at_once, her_token, make_user, sql):
    for _ in range(ROUNDS):
        bob = make_user()
        answers = at_once(*[("PUT", f"{V2}/users/{bob.id}/follow", her_token, None)] * 3)
        assert _statuses(answers) == [204, 204, 204]
        assert sql("SELECT count(*) FROM follows WHERE followed_id = :id", id=bob.id) == [(1,)]


def test_two_who_follow_each_other_at_once_both_do(at_once, make_user, token_of, sql):
    for _ in range(ROUNDS):
        one, other = make_user(), make_user()
        answers = at_once(
            ("PUT", f"{V2}/users/{other.id}/follow", token_of(one, "v2"), None),
            ("PUT", f"{V2}/users/{one.id}/follow", token_of(other, "v2"), None),
        )
        assert _statuses(answers) == [204, 204]
        assert sql("SELECT count(*) FROM follows WHERE follower_id IN (:a, :b)", a=one.id, b=other.id) == [(2,)]


def test_who_is_deleted_while_he_is_followed_is_followed_by_nobody(at_once, her_token, mighty, make_user, sql):
    for _ in range(ROUNDS):
        bob = make_user()
        followed, deleted = at_once(
            ("PUT", f"{V2}/users/{bob.id}/follow", her_token, None), ("DELETE", f"{ACCOUNTS}/{bob.id}", mighty, None)
        )
        assert (followed.status_code in (204, 404), deleted.status_code) == (True, 204)
        assert sql("SELECT count(*) FROM follows") == [(0,)]


def test_a_follow_and_an_unfollow_at_once_come_one_after_the_other(at_once, her_token, make_user, sql):
    for _ in range(ROUNDS):
        bob = make_user()
        answers = at_once(
            ("PUT", f"{V2}/users/{bob.id}/follow", her_token, None),
            ("DELETE", f"{V2}/users/{bob.id}/follow", her_token, None),
        )
        assert _statuses(answers) == [204, 204]
        assert sql("SELECT count(*) FROM follows WHERE followed_id = :id", id=bob.id)[0][0] in (0, 1)


def test_a_restore_and_a_delete_at_once_come_one_after_the_other(at_once, alice, her_token, make_post, sql):
    for _ in range(ROUNDS):
        post = make_post(alice, deleted_at=now(), deleted_by=alice.id)
        restored, deleted = at_once(
            ("POST", f"{V2}/posts/{post.id}/restore", her_token, None),
            ("DELETE", f"{V2}/posts/{post.id}", her_token, None),
        )
        ((away, by),) = sql("SELECT deleted_at IS NOT NULL, deleted_by FROM posts WHERE id = :id", id=post.id)
        assert (restored.status_code, deleted.status_code, bool(away)) in [(200, 204, True), (200, 404, False)]
        assert by == (alice.id if away else None)


def test_a_post_is_restored_once_however_many_restore_it(at_once, alice, her_token, make_post):
    for _ in range(ROUNDS):
        post = make_post(alice, deleted_at=now(), deleted_by=alice.id)
        answers = at_once(*[("POST", f"{V2}/posts/{post.id}/restore", her_token, None)] * 2)
        assert sorted(_statuses(answers)) == [200, 404]


def test_nothing_of_a_deleted_author_is_brought_back(at_once, mighty, make_user, token_of, make_post, sql):
    for _ in range(ROUNDS):
        bob = make_user()
        post = make_post(bob, deleted_at=now(), deleted_by=bob.id)
        restored, deleted = at_once(
            ("POST", f"{V2}/posts/{post.id}/restore", token_of(bob, "v2"), None),
            ("DELETE", f"{ACCOUNTS}/{bob.id}", mighty, None),
        )
        assert (restored.status_code in (200, 401, 404), deleted.status_code) == (True, 204)
        assert sql("SELECT id FROM posts WHERE user_id = :id AND deleted_at IS NULL", id=bob.id) == []


def test_two_changes_of_tags_at_once_leave_the_tags_of_one(at_once, alice, her_token, make_post, client):
    for _ in range(ROUNDS):
        url = f"{V2}/posts/{make_post(alice).id}"
        answers = at_once(
            ("PATCH", url, her_token, {"tags": ["a", "both"]}), ("PATCH", url, her_token, {"tags": ["b", "both"]})
        )
        assert _statuses(answers) == [200, 200]
        assert client.get(url).json["tags"] in (["a", "both"], ["b", "both"])


def test_nobody_refreshes_once_he_has_logged_out(at_once, alice, log_in, refresh, me):
    for _ in range(ROUNDS):
        tokens = log_in().json
        traded, left = at_once(
            ("POST", f"{V2}/auth/refresh", None, {"refresh_token": tokens["refresh_token"]}),
            ("POST", f"{V2}/auth/logout", tokens["access_token"], None),
        )
        assert (traded.status_code in (200, 401), left.status_code) == (True, 204)
        newest = traded.json() if traded.status_code == 200 else tokens
        assert refresh(newest["refresh_token"]).status_code == 401
        assert me(newest["access_token"]).status_code == 401


def test_nobody_refreshes_once_he_is_shut_out(at_once, mighty, make_user, log_in, refresh, me):
    for n in range(ROUNDS):
        bob = make_user(username=f"bob{n}")
        tokens = log_in(bob.username).json
        traded, shut = at_once(
            ("POST", f"{V2}/auth/refresh", None, {"refresh_token": tokens["refresh_token"]}),
            ("PATCH", f"{ACCOUNTS}/{bob.id}", mighty, {"disabled": True}),
        )
        assert (traded.status_code in (200, 401), shut.status_code) == (True, 200)
        newest = traded.json() if traded.status_code == 200 else tokens
        assert (refresh(newest["refresh_token"]).status_code, me(newest["access_token"]).status_code) == (401, 401)


def test_a_ban_and_a_promotion_at_once_are_both_done(at_once, mighty, make_user, token_of, client, sql):
    for _ in range(ROUNDS):
        bob = make_user()
        his = token_of(bob, "v2")
        answers = at_once(
            ("PATCH", f"{ACCOUNTS}/{bob.id}", mighty, {"disabled": True}),
            ("PATCH", f"{ACCOUNTS}/{bob.id}", mighty, {"role": "admin"}),
        )
        assert _statuses(answers) == [200, 200]
        ((role, shut),) = sql("SELECT role, disabled_at IS NOT NULL FROM users WHERE id = :id", id=bob.id)
        assert (role, bool(shut)) == ("admin", True)
        assert client.get(ACCOUNTS, headers=bearer(his)).status_code == 401


@pytest.mark.parametrize("ways", [("ban", "demote"), ("ban", "ban"), ("delete", "ban")], ids=" and ".join)
def test_two_admins_who_shut_each_other_out_leave_one(at_once, make_user, token_of, sql, ways):
    calls = {
        "ban": lambda id, token: ("PATCH", f"{ACCOUNTS}/{id}", token, {"disabled": True}),
        "demote": lambda id, token: ("PATCH", f"{ACCOUNTS}/{id}", token, {"role": "user"}),
        "delete": lambda id, token: ("DELETE", f"{ACCOUNTS}/{id}", token, None),
    }
    for _ in range(ROUNDS):
        a, b = make_user(role="admin"), make_user(role="admin")
        one, other = ways
        answers = at_once(calls[one](b.id, token_of(a, "v2")), calls[other](a.id, token_of(b, "v2")))
        first, second = sorted(_statuses(answers))
        assert first in (200, 204)
        assert second in (401, 403, 409)
        living = "SELECT id FROM users WHERE role = 'admin' AND deleted_at IS NULL AND disabled_at IS NULL"
        assert len(sql(living)) == 1
        sql("DELETE FROM users")


def test_an_edit_under_one_state_is_done_once(at_once, alice, her_token, make_post, client, server):
    """Of two with one `If-Match`, the second is told that the post has moved on."""
    for _ in range(ROUNDS):
        url = f"{V2}/posts/{make_post(alice).id}"
        headers = {"If-Match": client.get(url).headers["ETag"]} | bearer(her_token)

        def patch(tag, url=url, headers=headers):
            return requests.patch(server.url + url, json={"tags": [tag]}, headers=headers, timeout=20)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(patch, "ab"))
        assert sorted(_statuses(answers)) == [200, 412]


def test_who_marks_all_while_he_marks_one_has_marked_each_once(at_once, alice, her_token, make_post, told, sql):
    for _ in range(ROUNDS):
        told(make_post(alice))
        ((id,),) = sql("SELECT id FROM notifications WHERE channel = 'inbox' AND read_at IS NULL")
        all_of_them, one = at_once(
            ("POST", f"{V2}/notifications/read", her_token, {}),
            ("POST", f"{V2}/notifications/{id}/read", her_token, None),
        )
        assert (all_of_them.status_code, one.status_code) == (200, 204)
        assert sql("SELECT count(*) FROM notifications WHERE channel = 'inbox' AND read_at IS NULL") == [(0,)]
