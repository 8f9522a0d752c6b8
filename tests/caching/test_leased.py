"""CACHE.md, leased mode, with real agents: whatever happens to them, nobody reads less than what was answered for.

`settle()` is what an answer to a write waits for, `read()` what a reader that comes after it sees.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import config
from app import relay
from app.caching import leased
from app.caching.leased import SharedChecks
from app.caching.page import boottime
from tests.caching.leases import SLOTS, Wire, Writer, is_back, write_and_look
from tests.conftest import BACKEND
from tests.servers import WebServer, wait_for

on_postgresql = pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite needs no agent")


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_what_is_settled_is_read_on_every_host(host, writer, alone):
    here = host("a", alone)
    readers = [host("a", alone)] if alone else [host("a", alone), host("b", alone)]
    seen = write_and_look(writer, here, [here, *readers], 1.5)
    assert seen[True] > 30, "else nothing was leased"


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_without_the_wait_old_generations_are_read(host, writer, alone, monkeypatch):
    """The control: what the other tests find nothing of is there to be found."""
    here, there = host("a", alone), host("a" if alone else "b", alone)
    monkeypatch.setattr(here, "settle", lambda: None)
    with pytest.raises(AssertionError):
        write_and_look(writer, here, [there], 3)


@on_postgresql
def test_nobody_waits_for_a_lease_where_there_is_one_host(host, writer):
    source = host(alone=True)
    began = time.monotonic()
    for _ in range(20):
        writer.commit()
        source.settle()
    assert time.monotonic() - began < 20 * leased.LEASE_ONE_MS / 1000 / 4


@on_postgresql
def test_a_lease_passes_where_there_are_many(host):
    source = host(alone=False)
    began = boottime()
    source.settle()
    assert boottime() - began >= (leased.LEASE_MANY_MS + leased.MARGIN_MS) * leased.MILLISECOND


@on_postgresql
def test_concurrent_writers_and_readers_of_two_hosts_see_what_was_answered_for(host, cache_database):
    """Each writer has a slot of its own, whose generation counts for what he has answered for."""
    sources = [host(name, alone=False) for name in ("a", "a", "b", "b")]
    answered = {slot: [] for slot in range(3000, 3004)}
    until = time.monotonic() + 3

    def write(number):
        mine, count, slot = Writer(cache_database), 0, 3000 + number
        with mine.connection:
            while time.monotonic() < until:
                mine.commit(slot)
                (generation,) = mine.truth((slot,))
                sources[number % 2 * 2].settle()
                answered[slot].append(generation)
                count += 1
        return count

    def read(source):
        reads = 0
        while time.monotonic() < until:
            for slot, floor in [(slot, len(kept) - 1) for slot, kept in answered.items()]:
                (seen,) = source.read((slot,))
                if seen in answered[slot]:
                    assert answered[slot].index(seen) >= floor
                reads += 1
        return reads

    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write, number) for number in range(4)]
        readers = [pool.submit(read, source) for source in sources]
        assert sum(future.result() for future in readers) > 1000
        assert sum(future.result() for future in written) > 50


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_an_answer_that_took_its_time_is_as_old_as_its_question(host, writer, cache_database, short_folder, alone):
    """What was committed while it was on its way is not in it."""
    wire = Wire(short_folder, cache_database)
    try:
        source = host(alone=alone, agent_url=wire.url)
        wire.late = 0.03
        write_and_look(writer, source, [source], 3)
    finally:
        wire.close()


@on_postgresql
def test_what_one_host_answered_for_the_other_shows_at_once(app, environ, short_folder, make_user, make_post, token_of):
    """Through real servers, each with a DATA_DIR and an agent of its own; Redis is everybody's."""
    post, leasing = make_post(alice := make_user(), title="0"), environ | {"CACHE_MODE": "leased"}
    path, token, hits = f"/api/v1/posts/{post.id}", {"Authorization": f"Bearer {token_of(alice)}"}, 0
    one, two = (leasing | {"DATA_DIR": str(short_folder / name)} for name in ("one", "two"))
    with WebServer(one) as here, WebServer(two) as there, requests.Session() as client:
        for number in range(60):
            near, far = (here, there) if number % 2 else (there, here)
            answer = client.put(f"{near.url}{path}", json={"title": str(number)}, headers=token)
            assert answer.status_code == 200
            for server in (far, near, far):
                answer = client.get(f"{server.url}{path}")
                assert answer.json()["title"] == str(number)
                hits += "; hit;" in answer.headers["Cache-Status"]
    assert hits > 60
    for server in (here, there):  # which is gone: its agent has nothing of it
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert len(list(short_folder.glob("*/cache/*.page"))) == 2


@on_postgresql
def test_a_lease_that_is_over_is_renewed_by_the_agent(host, writer, monkeypatch):
    source = host()
    time.sleep(1.5)
    writer.commit()
    assert not source.is_leased()
    monkeypatch.setattr(leased, "PATIENCE_MS", 1000)  # of a busy machine
    monkeypatch.setattr(source._checks, "read", lambda slots: pytest.fail("the database was asked"))
    assert source.read(SLOTS) == writer.truth()
    assert source.is_leased()


@on_postgresql
def test_readers_keep_the_page_leased(host):
    source = host()
    until, lapsed = time.monotonic() + 2, 0
    while time.monotonic() < until:
        lapsed += not source.is_leased()
        source.read(SLOTS)
        time.sleep(0.01)
    assert lapsed < 20


@on_postgresql
def test_who_rested_while_moves_were_folded_misses_nothing(host, writer):
    """What his agent asks by is older than what is left of them: it loads everything."""
    asleep = host("a", alone=False)
    time.sleep(2)
    awake = host("b", alone=False)
    for _ in range(20):
        writer.commit()
    wait_for(lambda: awake.read(SLOTS) and writer.moves() == 0, 5)
    awake.settle()
    assert awake.read(SLOTS) == writer.truth()
    wait_for(lambda: is_back(asleep))
    assert asleep.read(SLOTS) == writer.truth()


@on_postgresql
def test_a_writer_that_stays_open_holds_up_the_folding_of_what_came_after_it(host, writer, cache_database):
    source, slow = host(), Writer(cache_database)
    with slow.connection, slow.connection.transaction():
        slow.commit()
        for _ in range(3):
            writer.commit()
        time.sleep(1.2)
        assert writer.moves() == 3
        source.settle()
        assert source.read(SLOTS) == writer.truth()
    source.settle()
    assert source.read(SLOTS) == writer.truth()
    wait_for(lambda: source.read(SLOTS) and writer.moves() == 0, 5)
    assert source.read(SLOTS) == writer.truth()


@on_postgresql
def test_a_rebase_reaches_a_page(host, writer):
    from app.caching import triggers_postgresql

    source = host()
    for _ in range(3):
        writer.commit()
        before = writer.truth()
        with writer.connection.transaction():
            for statement in triggers_postgresql.REBASE:
                writer.connection.execute(statement)
        source.settle()
        assert source.read(SLOTS) == writer.truth() != before


def test_one_check_serves_all_who_came_before_it_began():
    began, go_on, asked = threading.Event(), threading.Event(), []

    class Slow:
        def read(self, slots):
            asked.append(slots)
            began.set()
            assert go_on.wait(10)
            return tuple(len(asked) for _ in slots)

    checks = SharedChecks(Slow())
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(checks.read, (1,))
        assert began.wait(10)
        later = [pool.submit(checks.read, (slot,)) for slot in (2, 3, 2, 4)]
        time.sleep(0.2)
        go_on.set()
        assert first.result() == (1,)
        assert {future.result() for future in later} == {(2,)}
    assert len(asked) == 2


def test_health_and_doctor_say_what_the_agent_says(app, client, coherence, monkeypatch):
    monkeypatch.setattr(coherence.source, "fault", lambda: "it is so -> do this")
    answer = client.get("/api/health/ready").json
    assert (answer["parts"]["cache"], answer["status"]) == ("it is so", "degraded")
    printed = app.test_cli_runner().invoke(args=["doctor"]).stdout
    assert "it is so" in printed
    assert "-> do this" in printed


def test_leased_is_refused_with_sqlite_in_one_line():
    environ = {"SECRET_KEY": "a-secret-for-tests-only-0123456789abcdef", "CACHE_MODE": "leased"}
    with pytest.raises(config.ConfigError, match="^CACHE_MODE: .*SQLite"):
        config.load(environ)


def test_leased_is_refused_where_memory_is_read_in_another_order(monkeypatch):
    """The proof wants the time of the check read before what it found; Python has no barrier."""
    environ = {"SECRET_KEY": "a-secret-for-tests-only-0123456789abcdef", "CACHE_MODE": "leased"}
    environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    assert config.load(environ)["CACHE_MODE"] == "leased"
    monkeypatch.setattr(config.platform, "machine", lambda: "aarch64")
    with pytest.raises(config.ConfigError, match="^CACHE_MODE: .*x86-64"):
        config.load(environ)


@pytest.fixture
def order(coherence, monkeypatch):
    """What happened in which order: a commit has settled, an answer begins."""
    happened = []
    monkeypatch.setattr(coherence.source, "settle", lambda: happened.append("settled"))
    return happened


def begin(app, order, client, method, path, **request):
    """Ask, noting when the answer begins."""
    order.clear()
    inner = app.wsgi_app

    def noting(environ, start_response):
        return inner(environ, lambda *answer: order.append("answered") or start_response(*answer))

    app.wsgi_app = noting
    try:
        return client.open(path, method=method, **request).status_code
    finally:
        app.wsgi_app = inner


def test_every_answer_to_what_is_no_read_waits_once_before_it_begins(app, order, as_user, make_user, make_post):
    alice = make_user()
    hers, post = as_user(alice), make_post(alice)
    key = {"headers": {"Idempotency-Key": "one"}, "json": {"title": "t", "content": "c"}}
    asked = [
        ("PUT", f"/api/v1/posts/{post.id}", {"json": {"title": "new"}}, 200),
        ("PUT", f"/api/v1/posts/{post.id}", {"json": {"title": "new"}}, 200),
        ("POST", "/api/v1/users", {"json": {"username": alice.username, "password": "a-long-password"}}, None),
        ("POST", "/api/v2/posts", key, None),
        ("POST", "/api/v2/posts", key, None),
        ("DELETE", f"/api/v1/posts/{post.id}", {}, None),
        ("DELETE", "/api/v1/posts/999999", {}, 404),
    ]
    for method, path, request, status in asked:
        answered = begin(app, order, hers, method, path, **request)
        assert status in (None, answered), path
        assert order == ["settled", "answered"], (method, path, answered)
    for path in (f"/api/v1/posts/{post.id}", "/api/v1/users"):
        begin(app, order, hers, "GET", path)
        assert order == ["answered"]


def test_nobody_is_told_before_it_is_settled(app, order, monkeypatch, make_user, as_user):
    monkeypatch.setattr(relay.celery, "send_task", lambda *_, **__: order.append("told"))
    as_user(make_user()).post("/api/v1/posts", json={"title": "t", "content": "c"})
    order.clear()
    with app.app_context():
        assert relay.publish_due()
        assert order[:2] == ["settled", "told"]
        order.clear()
        assert not relay.publish_due()
    assert order == []
