"""The live stream of the inbox: a process of its own, and clients that listen to it over HTTP."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import text

from app.extensions import db
from tests.conftest import BACKEND
from tests.servers import ROOT, Process, StreamServer, wait_for
from tests.system.listener import Listener

INSERT = (
    "INSERT INTO notifications (event_id, user_id, channel, kind, created_at)"
    " VALUES (:event, :user, :channel, 'welcome', CURRENT_TIMESTAMP) RETURNING id"
)
FRONTEND = "http://localhost:5173"
EVENTS = itertools.count()
NODE = str(Path(sys.executable).parent / "node")  # a wheel carries it


def row(user, channel="inbox"):
    return {"event": f"e{next(EVENTS)}", "user": user.id, "channel": channel}


@pytest.fixture(scope="module")
def streams(app, environ):
    with StreamServer(environ | {"CORS_ORIGINS": FRONTEND, "STREAMS_PER_USER": "3"}) as server:
        yield server


@pytest.fixture
def tell(sql):
    """tell(user): the id of a new notification, committed."""
    return lambda user, channel="inbox": sql(INSERT, **row(user, channel))[0][0]


@pytest.fixture
def listen(streams, token_of):
    """listen(user, last_id=…): a client, of a session of its own."""
    listeners = []

    def begin(user, last_id=None, token=None):
        listeners.append(Listener(streams.url, token or token_of(user, "v2"), last_id))
        return listeners[-1]

    yield begin
    for listener in listeners:
        if not listener.ended:
            listener.close()
    wait_for(lambda: all(listener.ended for listener in listeners))


@contextmanager
def open_transaction(app, user):
    """A notification that has its id and is not committed before the end of the block."""
    with app.app_context(), db.engine.connect() as connection, connection.begin():
        yield connection.execute(text(INSERT), row(user)).scalar_one()


def hears(listener, *ids):
    wait_for(lambda: len(listener.events) >= len(ids), 10)
    assert listener.ids == list(ids)


def test_what_is_told_is_heard_as_it_stands_in_the_inbox(listen, make_user, tell, as_user):
    user = make_user()
    listener = listen(user)
    id = tell(user)
    hears(listener, id)
    assert [listener.events[0][1]] == as_user(user, "v2").get("/api/v2/notifications").json["items"]
    assert listener.lines[:2] == ["retry: 3000", ""]


def test_the_head_says_that_it_is_a_stream_that_nobody_keeps(listen, make_user):
    headers = listen(make_user()).answer.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-ID"]


def test_who_says_no_last_id_hears_only_what_is_new(listen, make_user, tell):
    user = make_user()
    tell(user)
    listener = listen(user)
    time.sleep(0.6)
    hears(listener, tell(user))


def test_who_was_cut_off_hears_what_came_meanwhile_in_order(listen, make_user, tell, sql):
    user = make_user()
    ids = [tell(user) for _ in range(5)]
    sql("UPDATE notifications SET created_at = '2026-01-01' WHERE id = :id", id=ids[0])
    hears(listen(user, last_id=ids[1]), *ids[2:])


def test_the_last_id_may_stand_in_the_query(streams, make_user, tell, token_of):
    user = make_user()
    id = tell(user)
    listener = Listener(f"{streams.url}?last_event_id=0", token_of(user, "v2"))
    hears(listener, id)
    listener.close()


def test_a_long_absence_is_made_up_for_to_the_last_row(app, listen, make_user):
    """More than is remembered of what was told, and more than a client may have waiting."""
    user = make_user()
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(INSERT.removesuffix(" RETURNING id")), [row(user) for _ in range(2500)])
    listener = listen(user, last_id=0)
    wait_for(lambda: len(listener.events) >= 2500, 30)
    time.sleep(0.6)
    assert len(listener.ids) == len(set(listener.ids)) == 2500
    assert listener.ids == sorted(listener.ids)


def test_nobody_hears_what_is_anothers_or_a_mail(listen, make_user, tell):
    user, other = make_user(), make_user()
    listener = listen(user)
    tell(other)
    tell(user, "mail")
    hears(listener, tell(user))


def test_every_client_of_a_user_hears_all(listen, make_user, tell):
    user = make_user()
    listeners = [listen(user) for _ in range(3)]
    id = tell(user)
    for listener in listeners:
        hears(listener, id)


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has one writer: ids are committed in order")
def test_a_smaller_id_that_is_committed_later_is_heard_once(app, listen, make_user, tell):
    user = make_user()
    listener = listen(user)
    with open_transaction(app, user) as late:
        early = tell(user)
        hears(listener, early)
    assert late < early
    hears(listener, early, late)
    hears(listener, early, late, tell(user))


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has one writer: ids are committed in order")
def test_a_smaller_id_that_is_committed_while_the_client_is_away_is_not_lost(app, listen, make_user, tell):
    user = make_user()
    listener = listen(user)
    with open_transaction(app, user) as late:
        early = tell(user)
        hears(listener, early)
        listener.close()
    again = listen(user, last_id=early)
    wait_for(lambda: late in again.ids)


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has one writer: ids are committed in order")
def test_a_smaller_id_that_is_committed_after_the_client_is_back_is_not_lost(app, listen, make_user, tell, sql):
    user = make_user()
    with open_transaction(app, user) as late:
        early = tell(user)
        again = listen(user, last_id=early)
        time.sleep(0.6)
    wait_for(lambda: late in again.ids)


ENDINGS = {
    "the session is revoked": "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = :id",
    "the user is disabled": "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE id = :id",
    "the user is deleted": "UPDATE users SET deleted_at = CURRENT_TIMESTAMP WHERE id = :id",
}


@pytest.mark.parametrize("what", ENDINGS)
def test_a_stream_ends_when(listen, make_user, tell, sql, what):
    user, other = make_user(), make_user()
    listener, others = listen(user), listen(other)
    sql(ENDINGS[what], id=user.id)
    wait_for(lambda: listener.ended == "whole", 5)
    hears(others, tell(other))


def test_a_stream_ends_when_its_token_expires(listen, make_user, token_of):
    user = make_user()
    listener = listen(user, token=token_of(user, "v2", hours=-8 / 3600))  # ten seconds of leeway
    wait_for(lambda: listener.ended == "whole", 5)


REFUSALS = {
    "no token": ({"Authorization": ""}, 401, "missing_token"),
    "nonsense": ({"Authorization": "Bearer nonsense"}, 401, "invalid_token"),
    "a token of v1": ({"audience": "v1"}, 401, "invalid_token"),
    "a refresh token": ({"audience": "refresh"}, 401, "invalid_token"),
    "another path": ({"path": "/api/v2/notifications"}, 404, "not_found"),
    "a path beyond ASCII": ({"path": "/ü%ff"}, 404, "not_found"),
    "another method": ({"method": "POST"}, 405, "method_not_allowed"),
    "a last id that is none": ({"Last-Event-ID": "five"}, 422, "invalid"),
    "a last id below all": ({"Last-Event-ID": "-1"}, 422, "invalid"),
    "a last id beyond 64 bits": ({"Last-Event-ID": "9" * 19}, 422, "invalid"),
    "a last id in the query that is none": ({"query": "?last_event_id=%00"}, 422, "invalid"),
    "a foreign host": ({"Host": "evil.example"}, 400, "untrusted_host"),
    "a long header": ({"X-Long": "a" * 9000}, 431, "headers_too_large"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_is_a_problem_like_those_of_the_api(streams, make_user, token_of, what):
    asked, status, code = REFUSALS[what]
    asked = dict(asked)
    method, path, audience = asked.pop("method", "GET"), asked.pop("path", None), asked.pop("audience", "v2")
    url = streams.url.partition("/api")[0] + path if path else streams.url + asked.pop("query", "")
    headers = {"Authorization": f"Bearer {token_of(make_user(), audience)}"} | asked
    answer = requests.request(method, url, headers=headers, timeout=10, stream=True)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ("WWW-Authenticate" in answer.headers, answer.headers.get("Allow")) == (
        status == 401,
        "GET" if status == 405 else None,
    )


def test_a_user_has_so_many_streams_and_one_more_when_one_is_closed(streams, listen, make_user, token_of):
    user = make_user()
    token = token_of(user, "v2")
    first, *_ = [listen(user) for _ in range(3)]
    answer = requests.get(streams.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
    assert int(answer.headers["Retry-After"]) > 0
    listen(make_user())
    first.close()
    wait_for(
        lambda: requests.get(streams.url, headers={"Authorization": f"Bearer {token}"}, stream=True, timeout=10).ok
    )


def test_a_frontend_elsewhere_may_listen_and_say_its_last_id(streams, make_user, token_of):
    asked = {"Origin": FRONTEND, "Access-Control-Request-Method": "GET"}
    preflight = requests.options(streams.url, headers=asked, timeout=10)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == FRONTEND
    assert {"Authorization", "Last-Event-ID"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    refused = requests.get(streams.url, headers={"Origin": FRONTEND}, timeout=10)
    assert refused.headers["Access-Control-Allow-Origin"] == FRONTEND


def test_while_the_database_is_away_it_is_not_available(environ, make_user, token_of, tmp_path):
    away = environ | {"DATABASE_URL": f"sqlite:///{tmp_path}/no/such/file.db", "CACHE_MODE": "direct"}
    token = token_of(make_user(), "v2")
    with StreamServer(away) as server:
        answer = requests.get(server.url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_sigterm_ends_streams_at_once_and_whole(environ, make_user, token_of):
    user = make_user()
    with StreamServer(environ) as server:
        listeners = [Listener(server.url, token_of(user, "v2")) for _ in range(3)]
        began = time.monotonic()
        server.popen.terminate()
        assert server.popen.wait(10) == 0
        assert time.monotonic() - began < 3
        wait_for(lambda: [listener.ended for listener in listeners] == ["whole"] * 3)
        assert "refused to gracefully stop" not in server.output


def test_several_processes_tell_each_their_clients(environ, make_user, token_of, tell):
    with StreamServer(environ, workers=2) as server:
        processes, listeners = psutil.Process(server.pid).children(), []
        while not all(len(process.net_connections("tcp")) > 1 for process in processes):  # its ear, and a client
            assert len(listeners) < 60, "one process has all clients"
            user = make_user()
            listeners.append((user, Listener(server.url, token_of(user, "v2"))))
        for user, listener in listeners:
            hears(listener, tell(user))


def test_the_guides_client_hears_all_once_over_a_restart(environ, make_user, token_of, tell, tmp_path):
    (client,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs/guides/frontend.md").read_text(), re.DOTALL)
    heard = "(one) => console.log(`heard ${one.id} ${one.kind}`)"
    call = f"listen(process.argv[2], async () => process.argv[3], {heard}, new AbortController().signal)"
    script, user = tmp_path / "client.mjs", make_user()
    script.write_text(client + call)
    server = StreamServer(environ)
    with Process(NODE, str(script), server.url, token_of(user, "v2")) as node:
        wait_for(lambda: " 200 " in server.output)
        ids = [tell(user)]
        wait_for(lambda: f"heard {ids[0]} welcome" in node.output)
        server.kill_group()
        server.stop()
        ids.append(tell(user))
        with StreamServer(environ, port=server.port):
            wait_for(lambda: f"heard {ids[1]} welcome" in node.output)
            ids.append(tell(user))
            wait_for(lambda: f"heard {ids[2]} welcome" in node.output)
        assert node.output.splitlines() == [f"heard {id} welcome" for id in ids]


def test_a_process_that_is_killed_and_started_again_loses_nothing(app, environ, make_user, token_of):
    """A drill: notifications come all the time; their client reconnects with the last id that it has heard."""
    user, told, stop = make_user(), [], threading.Event()

    def write():
        with app.app_context():
            while not stop.wait(0.01):
                with db.engine.begin() as connection:
                    told.append(connection.execute(text(INSERT), row(user)).scalar_one())

    server = StreamServer(environ)
    listener = Listener(server.url, token_of(user, "v2"))
    writer = threading.Thread(target=write)
    writer.start()
    heard = set()
    try:
        for _ in range(2):
            wait_for(lambda it=listener: len(it.events) >= 20)
            os.killpg(server.pid, signal.SIGKILL)
            wait_for(lambda it=listener: it.ended)
            assert listener.ids == sorted(set(listener.ids)), "in order, and once"
            heard |= set(listener.ids)
            server.stop()
            server = StreamServer(environ, port=server.port)
            listener = listener.again()
    finally:
        stop.set()
        writer.join()
    wait_for(lambda: told[-1] in listener.ids, 10)
    server.stop()
    assert set(told) - heard - set(listener.ids) == set()
    assert len(told) > 40
