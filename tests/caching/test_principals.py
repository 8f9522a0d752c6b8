"""Verified tokens kept near: what ends a session ends them at once, everywhere (CACHE.md, HARDENING C)."""

from __future__ import annotations

import http.client
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from app.auth import PRINCIPALS, Guards
from app.errors import Forbidden, Unauthorized
from app.extensions import db
from app.models import User
from app.services import sessions
from tests.caching.test_overlap import Gate
from tests.factories import PASSWORD
from tests.servers import Redis, WebServer

TODOS = "/api/v1/todos"
v1, v2 = Guards("v1", "v2", bare=True), Guards("v2")


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def token(alice, token_of):
    return token_of(alice)


@pytest.fixture
def read(client, token):
    """read(): the answer to a guarded GET with her token."""
    return lambda given=token: client.get(TODOS, headers={"Authorization": f"Bearer {given}"})


@pytest.fixture
def verified(monkeypatch):
    """The tokens whose signatures were verified, one for each time."""
    decode, seen = jwt.decode_complete, []

    def noting(token, *arguments, **options):
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode_complete", noting)
    return seen


@pytest.fixture
def warmed(read, verified):
    """Her token is remembered: the last read has verified nothing."""
    assert read().status_code == 200
    verified.clear()
    assert read().status_code == 200
    assert verified == []


@pytest.fixture
def enter(app):
    """enter(guard, token): go through the guard of a read; its value, or what it raises."""

    def go(guard, token):
        with app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
            return guard(lambda: "in")()

    return go


def refused(answer):
    return (answer.status_code, answer.json.get("code")) == (401, "revoked_token")


def test_a_token_is_verified_once_however_often_it_reads(read, verified):
    assert [read().status_code for _ in range(5)] == [200] * 5
    assert len(verified) == 1


def test_head_is_a_read_too(client, token, warmed, verified):
    assert client.head(TODOS, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert verified == []


def test_a_write_asks_the_database_for_its_actor(client, token, warmed, count_queries):
    """Policies judge the present."""
    with count_queries() as statements:
        assert client.delete("/api/v1/posts/all", headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert [s for s in statements if "FROM users JOIN sessions" in s]


ENDS = {
    "its session is revoked": "UPDATE sessions SET revoked_at = created_at WHERE user_id = :id",
    "its session is deleted": "DELETE FROM sessions WHERE user_id = :id",
    "her account is disabled": "UPDATE users SET disabled_at = created_at WHERE id = :id",
    "her account is in the trash": "UPDATE users SET deleted_at = created_at WHERE id = :id",
    "her account is deleted": "DELETE FROM users WHERE id = :id",
}


@pytest.mark.parametrize("statement", ENDS.values(), ids=ENDS)
def test_c4_sql_from_elsewhere_bites_on_the_next_read(statement, sql, alice, read, warmed):
    sql(statement, id=alice.id)
    assert refused(read())
    assert refused(read())


def test_c1_logout_bites_on_the_next_read(client, token, read, warmed):
    assert client.post("/api/v1/users/logout", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert refused(read())


def test_c3_a_new_password_ends_the_other_sessions_and_not_ones_own(client, alice, token, token_of, read, warmed):
    other = token_of(alice)
    assert read(other).status_code == 200
    change = {"password": "another-long-password", "current_password": PASSWORD}
    url = f"/api/v1/users/{alice.id}"
    assert client.put(url, json=change, headers={"Authorization": f"Bearer {other}"}).status_code == 200
    assert refused(read())
    assert read(other).status_code == 200


def test_c4_an_account_that_an_admin_deletes_reads_no_more(as_user, make_user, alice, read, warmed):
    assert as_user(make_user(role="admin")).delete(f"/api/v1/users/{alice.id}").status_code == 200
    assert refused(read())


@pytest.mark.parametrize("statement", ["UPDATE users SET disabled_at = created_at", "UPDATE users SET role = 'user'"])
def test_c5_an_admin_is_one_until_the_next_request(client, make_user, token_of, enter, sql, statement):
    token = token_of(make_user(role="admin"))
    assert [enter(v1.admin_required, token) for _ in range(2)] == ["in", "in"]
    sql(statement)
    with pytest.raises(Unauthorized if "disabled" in statement else Forbidden):
        enter(v1.admin_required, token)
    answer = client.delete("/api/v1/posts/all", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == (401 if "disabled" in statement else 403)


def test_c5_an_admins_list_is_closed_to_him_once_he_is_none(as_user, make_user, sql):
    admin = as_user(make_user(role="admin"), "v2")
    assert [admin.get("/api/v2/admin/users").status_code for _ in range(2)] == [200, 200]
    sql("UPDATE users SET role = 'user'")
    assert admin.get("/api/v2/admin/users").status_code == 403


def test_who_becomes_an_admin_is_one_at_once(enter, token, alice, sql):
    with pytest.raises(Forbidden):
        enter(v1.admin_required, token)
    sql("UPDATE users SET role = 'admin' WHERE id = :id", id=alice.id)
    assert enter(v1.admin_required, token) == "in"


def test_a_token_of_v1_that_is_remembered_opens_no_guard_of_v2(enter, token, alice, token_of):
    assert enter(v1.login_required, token) == "in"
    for _ in range(2):
        with pytest.raises(Unauthorized) as caught:
            enter(v2.login_required, token)
        assert caught.value.code == "invalid_token"
    assert enter(v1.login_required, token) == "in"
    wide = token_of(alice, "v2")
    assert [enter(guard.login_required, wide) for guard in (v1, v2, v1, v2)] == ["in"] * 4


def test_a10_another_spelling_of_a_token_lives_no_longer_than_the_token(client, token, read, warmed, sql):
    spellings = (f"{token}=", f"{token}==", token.replace(".", "=."), f" {token}", f"{token} ")
    before = [read(spelling).status_code for spelling in spellings]
    assert client.get(TODOS, headers={"Authorization": token}).status_code == 200, "v1 takes a bare one"
    sql("UPDATE sessions SET revoked_at = created_at")
    for spelling in spellings:
        assert read(spelling).status_code == 401, before
    assert client.get(TODOS, headers={"Authorization": token}).status_code == 401


def test_a_token_ends_when_it_says_although_it_is_remembered(alice, token_of, read, verified):
    """It has expired already, but for the leeway of ten seconds, which has two left."""
    token = token_of(alice, hours=-8 / 3600)
    assert [read(token).status_code for _ in range(3)] == [200] * 3
    assert len(verified) == 1
    time.sleep(3)
    answer = read(token)
    assert (answer.status_code, answer.json["code"]) == (401, "expired_token")


def test_no_token_that_failed_is_remembered(app, read, token, token_of, alice, sql):
    before = len(app.extensions[PRINCIPALS])
    sql("UPDATE sessions SET revoked_at = created_at")
    for bad in (token, token[:-4], "x", token_of(alice, "v3"), token_of(alice, hours=-1)):
        assert read(bad).status_code == 401
    assert len(app.extensions[PRINCIPALS]) == before


@pytest.fixture
def room_for(app, monkeypatch):
    """room_for(n): nothing is remembered, and then n tokens at most."""

    def limit(most):
        remembered = app.extensions[PRINCIPALS]._verified
        remembered.clear()
        monkeypatch.setattr(remembered, "_most", most)

    return limit


def test_a_flood_of_tokens_only_pushes_out(app, alice, token_of, read, room_for):
    many = [token_of(alice) for _ in range(8)]
    room_for(3)
    for _ in range(2):
        assert {read(token).status_code for token in many} == {200}
    assert len(app.extensions[PRINCIPALS]) == 3


def test_the_token_that_is_used_stays(app, alice, token_of, read, verified, room_for):
    kept, other, third = (token_of(alice) for _ in range(3))
    room_for(2)
    for token in (kept, other, kept, third, third, kept):
        read(token)
    assert verified == [kept, other, third, third]
    read(other)
    assert verified[4:] == [other]


def test_where_generations_cannot_be_known_the_database_is_asked_each_time(uncached, read, verified, sql):
    with uncached():
        assert [read().status_code for _ in range(3)] == [200] * 3
        assert len(verified) == 3
        sql("UPDATE sessions SET revoked_at = created_at")
        assert refused(read())


def test_nothing_is_remembered_from_when_generations_could_not_be_known(uncached, read, sql, verified):
    with uncached():
        read()
    read()
    assert len(verified) == 2


@pytest.mark.parametrize("before", [True, False], ids=["between note and question", "between answer and keeping"])
def test_a_logout_that_overtakes_a_reader_is_not_lost(app, monkeypatch, alice, token, token_of, read, before):
    assert read(token_of(alice)).status_code == 200, "her list is kept: only the guard stands before it"
    gate = Gate(sessions.actor, before=before)
    monkeypatch.setattr(sessions, "actor", gate)
    headers = {"Authorization": f"Bearer {token}"}
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: app.test_client().get(TODOS, headers=headers))
        assert gate.reached.wait(20)
        assert app.test_client().post("/api/v1/users/logout", headers=headers).status_code == 200
        assert refused(app.test_client().get(TODOS, headers=headers)), "while the slow reader is under way"
        gate.opened.set()
        assert slow.result().status_code in (200, 401)
    for _ in range(3):
        assert refused(read())


def test_what_the_request_has_read_before_its_note_is_not_believed(app, alice, token, enter, sql):
    """An earlier read of the same transaction knows her as the admin that she was."""
    sql("UPDATE users SET role = 'admin' WHERE id = :id", id=alice.id)
    with app.test_request_context("/", headers={"Authorization": f"Bearer {token}"}):
        former = db.session.get(User, alice.id)
        assert former.is_admin
        sql("UPDATE users SET role = 'user' WHERE id = :id", id=alice.id)
        with pytest.raises(Forbidden):
            v1.admin_required(lambda: "in")()
    with pytest.raises(Forbidden):
        enter(v1.admin_required, token)


def asked(server, method, token):
    """Each on a connection of its own, so that any process may get it: (status, process, verified so far)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    path = TODOS if method == "GET" else "/api/v1/users/logout"
    connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers["X-Process"], int(answer.headers["X-Verified"])


@pytest.fixture
def two_processes(environ, app):
    """A server with two processes that tell who they are, and a Redis of their own."""
    with (
        Redis() as redis,
        WebServer(environ | {"REDIS_URL": redis.url}, factory="tests.caching.witnessed:create_app") as s,
    ):
        yield s, redis
        redis.kill_group(signal.SIGCONT)  # one that is stopped hears no SIGTERM


def warm_both(server, token):
    """Read until both processes have answered without verifying anything."""
    seen, remembering = {}, set()
    for _ in range(200):
        status, process, verified = asked(server, "GET", token)
        assert status == 200
        if seen.get(process) == verified:
            remembering.add(process)
        seen[process] = verified
        if len(remembering) == 2:
            return
    raise AssertionError(f"one process answers alone: {seen}")


def test_c1_after_a_logout_no_process_takes_the_token(two_processes, token):
    server, _ = two_processes
    warm_both(server, token)
    assert asked(server, "POST", token)[0] == 200
    answers = [asked(server, "GET", token) for _ in range(40)]
    assert [status for status, _, _ in answers] == [401] * 40
    assert len({process for _, process, _ in answers}) == 2


@pytest.mark.parametrize("fault", ["flushed", "gone", "hung"])
def test_c10_no_fault_of_redis_revives_a_token_or_ends_one(two_processes, token, token_of, alice, fault):
    server, redis = two_processes
    living = token_of(alice)
    for warm in (token, living):
        warm_both(server, warm)
    assert asked(server, "POST", token)[0] == 200
    if fault == "flushed":
        redis.client.flushall()
    else:
        os.kill(redis.pid, signal.SIGKILL if fault == "gone" else signal.SIGSTOP)
    assert {asked(server, "GET", token)[0] for _ in range(10)} == {401}
    assert {asked(server, "GET", living)[0] for _ in range(10)} == {200}
    assert asked(server, "POST", living)[0] == 200
    assert {asked(server, "GET", living)[0] for _ in range(10)} == {401}
