"""A part that is away: reads go on, writes that were done are answered, and what cannot be done is 503."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event, make_url

from app.extensions import db
from app.models.base import now
from app.services import posts
from tests.conftest import BACKEND, SERVER

POST = {"title": "Hello", "content": "Words"}


@pytest.fixture
def hung(cache_redis):
    """hung(): the cache's Redis answers nobody until the test is over."""
    yield lambda: os.kill(cache_redis.pid, signal.SIGSTOP)
    os.kill(cache_redis.pid, signal.SIGCONT)


def test_a_write_that_was_done_is_answered_though_redis_went_away_meanwhile(as_user, make_user, hung, monkeypatch, sql):
    """The limits are asked once more after the write, to be told in a header: that may fail, the answer may not."""
    create = posts.create

    def create_and_lose_redis(*args, **kwargs):
        post = create(*args, **kwargs)
        hung()
        return post

    monkeypatch.setattr(posts, "create", create_and_lose_redis)
    answer = as_user(make_user()).post("/api/v1/posts", json=POST)
    assert answer.status_code == 201
    assert sql("SELECT count(*) FROM posts")[0][0] == 1


def test_with_redis_hung_reads_and_writes_go_on_without_waiting_long(client, as_user, make_user, hung):
    """HARDENING drill 8: each request at most 300 ms later."""
    alice = as_user(make_user())
    hung()
    began = time.monotonic()
    for _ in range(5):
        assert alice.post("/api/v1/posts", json=POST).status_code == 201
        assert client.get("/api/v1/posts").status_code == 200
    assert time.monotonic() - began < 10 * 0.3


def test_ready_names_each_part(client):
    answer = client.get("/api/health/ready")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "parts": {"database": "ok", "cache": "ok", "broker": "ok", "delivery": "ok"}}
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_its_cache_it_is_degraded_and_not_down(client, hung):
    hung()
    answer = client.get("/api/health/ready")
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["parts"]["cache"]) == ("degraded", "down")


def test_while_a_message_waits_for_more_than_a_minute_it_is_degraded(client, sql):
    """Relay and worker may be up and hang: the age of what waits tells, whichever of them it is."""
    due = "INSERT INTO outbox (event_id, event, subscriber, ids, created_at, next_attempt_at, attempts)"
    sql(f"{due} VALUES ('e', 'x', 'x', '{{}}', '2026-01-01', '2026-01-01', 0)")
    answer = client.get("/api/health/ready")
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["parts"]["delivery"]) == ("degraded", "late")
    sql("UPDATE outbox SET created_at = :now", now=now() - timedelta(seconds=30))
    assert client.get("/api/health/ready").json["parts"]["delivery"] == "ok"
    sql("UPDATE outbox SET created_at = '2026-01-01', dead_at = '2026-01-01'")
    assert client.get("/api/health/ready").json["parts"]["delivery"] == "ok", "what was given up waits no more"


def test_while_the_triggers_differ_it_is_degraded_and_not_down(client, app, sql):
    """In a rolling upgrade the new page's triggers are not those of the hosts that still run the old code."""
    sql("DROP TRIGGER cache_users_insert" + (" ON users" if BACKEND == "postgresql" else ""))
    answer = client.get("/api/health/ready")
    app.test_cli_runner().invoke(args=["cache", "install"])
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["parts"]["database"]) == ("degraded", "triggers differ")


def _only_read(app):
    def refuse(connection, record):
        connection.execute("PRAGMA query_only = ON")

    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", refuse)
        yield
        event.remove(db.engine, "connect", refuse)
        db.engine.dispose()


@pytest.fixture
def read_only(app, sql):
    """The database as a standby is after a fail-over, or SQLite's on a disk mounted read-only: it refuses to write."""
    if BACKEND == "sqlite":
        yield from _only_read(app)
        return
    name = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database
    sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with app.app_context():
        db.engine.dispose()
    yield
    with app.app_context():
        db.engine.dispose()
        with db.engine.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.commit()
            connection.exec_driver_sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            connection.commit()
        db.engine.dispose()


def test_a_database_that_only_reads_answers_reads_and_refuses_writes_for_now(make_user, as_user, client, request):
    alice = as_user(make_user())
    request.getfixturevalue("read_only")
    assert client.get("/api/v1/posts").status_code == 200
    refused = alice.post("/api/v1/posts", json=POST)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"


@pytest.fixture
def away(app):
    """away(): PostgreSQL cuts every connection to the app's database and takes no new one, until the test is over."""
    name = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database

    def takes_connections(taken):
        with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {taken}")
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    yield lambda: takes_connections(False)
    takes_connections(True)


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has no server that could be away; its own fault is below")
def test_without_the_database_nothing_is_served_not_even_what_was_kept(client, as_user, make_user, make_post, away):
    """CACHE.md: what cannot be known to be current is not served as if it were."""
    alice = make_user()
    hers = as_user(alice)
    addresses = ["/api/v1/posts", f"/api/v1/posts/{make_post(alice).id}", "/api/v2/posts", "/api/v1/users"]
    for address in addresses:
        client.get(address)
        assert "; hit;" in client.get(address).headers["Cache-Status"]
    away()
    assert client.get("/api/health/live").status_code == 200
    assert client.get("/api/health/ready").status_code == 503
    answers = [client.get(address) for address in addresses]
    answers += [hers.get("/api/v1/todos"), hers.post("/api/v1/posts", json=POST)]
    answers += [client.post("/api/v1/users/login", json={"username": "a", "password": "b"})]
    assert [answer.status_code for answer in answers] == [503] * len(answers)
    assert {answer.headers["Retry-After"] for answer in answers} == {"1"}


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has no server that could come back")
def test_when_the_database_is_back_it_goes_on_without_a_restart(client, make_user, away, app, request):
    make_user()
    client.get("/api/v1/users")
    away()
    assert client.get("/api/v1/users").status_code == 503
    with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
        server.execute(
            f"ALTER DATABASE {make_url(app.config['SQLALCHEMY_DATABASE_URI']).database} ALLOW_CONNECTIONS true"
        )
    assert client.get("/api/v1/users").status_code == 200


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has no server that could end a connection")
@pytest.mark.parametrize("way", ["heard", "asked"])
def test_a_connection_that_was_cut_while_it_rested_fails_nobody(client, make_user, app, monkeypatch, way):
    """Its end is heard at once; or, where that was lost on the way, it is asked after a rest."""
    if way == "asked":
        monkeypatch.setattr("app.extensions.TRUSTED_SECONDS", -1)
        monkeypatch.setattr("app.extensions._has_word", lambda connection: False)
    make_user()
    name = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database
    with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
        cut = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s"
        assert server.execute(cut, (name,)).rowcount > 0
    assert client.get("/api/v2/posts?limit=7").status_code == 200


def test_behind_a_writer_that_never_ends_reads_go_on_and_a_write_is_503(client, as_user, make_user, app, environ):
    hers = as_user(make_user())
    client.get("/api/v1/posts")
    if BACKEND == "sqlite":
        writer = sqlite3.connect(environ["DATABASE_URL"].removeprefix("sqlite:///"), isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
    else:
        writer = psycopg.connect(environ["DATABASE_URL"])
        writer.execute("LOCK TABLE posts IN SHARE ROW EXCLUSIVE MODE")
    try:
        assert client.get("/api/v1/posts").status_code == 200
        began = time.monotonic()
        refused = hers.post("/api/v1/posts", json=POST)
        waited = time.monotonic() - began
    finally:
        writer.rollback()
        writer.close()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert waited < 10
    assert hers.post("/api/v1/posts", json=POST).status_code == 201
    assert len(client.get("/api/v1/posts").json) == 1
