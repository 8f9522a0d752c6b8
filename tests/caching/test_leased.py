"""CACHE.md, leased mode, with real agents: whatever happens to them, nobody reads less than what was answered for.

`settle()` is what an answer to a write waits for, `read()` what a reader that comes after it sees.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import config
from app import relay
from app.caching import leased, page
from app.caching.leased import SharedChecks
from app.caching.page import BOOT, CHECKED, HEAD, KIND, MARK, QUESTIONS, boottime
from tests.caching.leases import SLOTS, Hosts, Wire, Writer, agent_of, is_back, make_tables, stop
from tests.conftest import BACKEND, MEMORY, fresh_database
from tests.servers import wait_for

on_postgresql = pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite needs no agent")


@pytest.fixture(scope="module")
def database(worker_id):
    """A database with the cache's tables and nobody else in it."""
    with fresh_database(f"leases_{worker_id}", Path()) as url:
        make_tables(url)
        yield url


@pytest.fixture
def folder():
    """Short, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hosts(database, folder):
    hosts = Hosts(folder, database)
    yield hosts
    hosts.close()


@pytest.fixture
def writer(database):
    writer = Writer(database)
    with writer.connection:
        yield writer


def write_and_look(writer, settled, readers, seconds):
    """Commit, let it settle, read: how many reads were under a lease. None is older than what was settled."""
    until, seen = time.monotonic() + seconds, Counter()
    while time.monotonic() < until:
        writer.commit()
        truth = writer.truth()
        settled.settle()
        for reader in readers:
            assert reader.read(SLOTS) == truth
            seen[reader.is_leased()] += 1
    return seen


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_what_is_settled_is_read_on_every_host(hosts, writer, alone):
    here = hosts("a", alone)
    readers = [hosts("a", alone)] if alone else [hosts("a", alone), hosts("b", alone)]
    seen = write_and_look(writer, here, [here, *readers], 1.5)
    assert seen[True] > 30, "else nothing was leased"


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_without_the_wait_old_generations_are_read(hosts, writer, alone, monkeypatch):
    """The control: what the other tests find nothing of is there to be found."""
    here, there = hosts("a", alone), hosts("a" if alone else "b", alone)
    monkeypatch.setattr(here, "settle", lambda: None)
    with pytest.raises(AssertionError):
        write_and_look(writer, here, [there], 3)


@on_postgresql
def test_nobody_waits_for_a_lease_where_there_is_one_host(hosts, writer):
    source = hosts(alone=True)
    began = time.monotonic()
    for _ in range(20):
        writer.commit()
        source.settle()
    assert time.monotonic() - began < 20 * leased.LEASE_ONE_MS / 1000 / 4


@on_postgresql
def test_a_lease_passes_where_there_are_many(hosts):
    source = hosts(alone=False)
    began = boottime()
    source.settle()
    assert boottime() - began >= (leased.LEASE_MANY_MS + leased.MARGIN_MS) * leased.MILLISECOND


@on_postgresql
def test_concurrent_writers_and_readers_of_two_hosts_see_what_was_answered_for(hosts, database):
    """Each writer has a slot of its own, whose generation counts for what he has answered for."""
    sources = [hosts(name, alone=False) for name in ("a", "a", "b", "b")]
    answered, lock = {}, threading.Lock()
    until = time.monotonic() + 3

    def write(number):
        mine, count = Writer(database), 0
        slot = 3000 + number
        with mine.connection:
            while time.monotonic() < until:
                mine.commit(slot)
                row = mine.connection.execute(
                    "SELECT base, ARRAY(SELECT token FROM cache_moves WHERE slot = g.slot) "
                    "FROM cache_generations g WHERE slot = %s",
                    (slot,),
                ).fetchone()
                generation = row[0]
                for token in row[1]:
                    generation ^= token
                sources[number % 2 * 2].settle()
                with lock:
                    answered.setdefault(slot, []).append(generation)
                count += 1
        return count

    def read(source):
        reads = 0
        while time.monotonic() < until:
            with lock:
                floors = {slot: len(kept) - 1 for slot, kept in answered.items()}
            for slot, floor in floors.items():
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
def test_a_killed_agent_is_replaced(hosts, writer, alone):
    source, other = hosts(alone=alone), hosts(alone=alone)
    for _ in range(2):
        killed = agent_of(source)
        os.kill(killed, signal.SIGKILL)
        write_and_look(writer, source, [source, other], 0.5)
        wait_for(lambda: is_back(source) and is_back(other), 8)
        assert agent_of(source) != killed
        assert len(hosts.agents()) == 1


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_a_stopped_agent_is_killed_and_replaced(hosts, writer, alone):
    source, other = hosts(alone=alone), hosts(alone=alone)
    stopped = agent_of(source)
    stop(stopped)
    write_and_look(writer, source, [source, other], 3)
    wait_for(lambda: is_back(source) and is_back(other), 8)
    assert agent_of(source) != stopped
    assert not psutil.pid_exists(stopped) or psutil.Process(stopped).status() == psutil.STATUS_ZOMBIE
    write_and_look(writer, source, [source, other], 0.5)


@on_postgresql
def test_an_agent_that_was_stopped_for_a_while_goes_on(hosts, writer):
    """It holds its lock meanwhile, and what it then writes has the time of its question."""
    source = hosts()
    agent = agent_of(source)
    for _ in range(6):
        stop(agent)
        write_and_look(writer, source, [source], 0.4)
        os.kill(agent, signal.SIGCONT)
        write_and_look(writer, source, [source], 0.2)
    assert agent_of(source) == agent
    wait_for(lambda: is_back(source))


@on_postgresql
def test_nobody_kills_who_has_the_number_of_an_agent_that_is_gone(hosts):
    source = hosts()
    victim = subprocess.Popen(["sleep", "60"])
    try:
        agent = source._agent
        agent._kill(victim.pid, (page.started(victim.pid) or 0) + 1, page.namespace())
        agent._kill(victim.pid, page.started(victim.pid) or 0, page.namespace() + 1)
        time.sleep(0.2)
        assert victim.poll() is None
        agent._kill(victim.pid, page.started(victim.pid) or 0, page.namespace())
        assert victim.wait(5) == -signal.SIGKILL
    finally:
        victim.kill()


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_an_answer_that_took_its_time_is_as_old_as_its_question(hosts, writer, database, folder, alone):
    """What was committed while it was on its way is not in it."""
    wire = Wire(folder, database)
    try:
        source = hosts(alone=alone, agent_url=wire.url)
        wire.late = 0.03
        write_and_look(writer, source, [source], 3)
    finally:
        wire.close()


@on_postgresql
def test_an_agent_whose_wire_is_dead_dies_and_is_replaced(hosts, writer, database, folder):
    wire = Wire(folder, database)
    try:
        source = hosts(agent_url=wire.url)
        cut_off = agent_of(source)
        wire.cut.set()
        write_and_look(writer, source, [source], 2)
        wait_for(lambda: cut_off not in [process.pid for process in hosts.agents()], 5)
        wire.cut.clear()
        wait_for(lambda: is_back(source), 10)
        write_and_look(writer, source, [source], 0.3)
    finally:
        wire.close()


@on_postgresql
def test_of_agents_that_start_at_once_one_writes(hosts, writer):
    source = hosts(there=False)
    for _ in range(5):
        source._agent._start_at = 0.0
        source._agent._start()
    wait_for(lambda: is_back(source), 10)
    wait_for(lambda: len(hosts.agents()) == 1, 5)
    write_and_look(writer, source, [source], 0.3)


def valid(slots, when):
    """The bytes of a page that says of each slot that its generation is 1."""
    words = [0] * HEAD + [1] * slots
    words[KIND], words[page.SLOTS], words[BOOT], words[CHECKED] = MARK, slots, page._boot(), when
    return memoryview(bytearray(8 * len(words))).cast("q"), words


def bytes_of(slots, when, **changed):
    view, words = valid(slots, when)
    for number, word in enumerate(words):
        view[number] = word
    for name, value in changed.items():
        view[getattr(page, name)] = value
    return view.tobytes()


LEFT = {
    "garbage": lambda slots: os.urandom(8 * (HEAD + slots)),
    "of another boot": lambda slots: bytes_of(slots, boottime(), BOOT=1),
    "of another layout": lambda slots: bytes_of(slots, boottime(), KIND=MARK + 1),
    "too short": lambda slots: bytes_of(slots, boottime())[:-8],
    "too long": lambda slots: bytes_of(slots, boottime()) + bytes(8),
    "empty": lambda slots: b"",
    "checked in the future": lambda slots: bytes_of(slots, boottime() + 10**12),
    "checked long ago": lambda slots: bytes_of(slots, boottime() - 10**10),
}


@on_postgresql
@pytest.mark.parametrize("what", LEFT)
def test_a_page_that_was_left_is_not_trusted_and_is_made_anew(hosts, writer, what):
    source = hosts(there=False)
    agent = source._agent
    agent._path.parent.mkdir(parents=True)
    agent._path.write_bytes(LEFT[what](agent._slots))
    bell = agent._path.with_suffix(".bell")
    os.mkfifo(bell)
    deaf = os.open(bell, os.O_RDWR)  # as if an agent were there
    for _ in range(3):
        assert source.read(SLOTS) == writer.truth()
        assert not source.is_leased() or what == "checked in the future"
    os.close(deaf)
    wait_for(lambda: is_back(source), 10)
    assert source.read(SLOTS) == writer.truth()
    write_and_look(writer, source, [source], 0.2)


@on_postgresql
@pytest.mark.parametrize("what", ["page", "bell", "folder"])
def test_files_that_are_removed_come_again(hosts, writer, what):
    source, other = hosts(), hosts()
    path = source._agent._path
    if what == "folder":
        shutil.rmtree(source.folder)
    else:
        path.with_suffix(f".{what}").unlink()
    seen = write_and_look(writer, source, [source, other], 3)
    assert seen
    wait_for(lambda: is_back(source) and is_back(other), 10)


@on_postgresql
def test_a_folder_that_cannot_be_written_to_costs_speed_alone(hosts, writer, folder):
    (folder / "a").write_text("a file")
    source = hosts(there=False)
    write_and_look(writer, source, [source], 1)
    assert not source.is_leased()
    assert "no agent" in source.fault()
    (folder / "a").unlink()
    wait_for(lambda: is_back(source), 10)


@on_postgresql
def test_a_full_disk_costs_speed_alone(hosts, writer):
    source = hosts(there=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # of the agent that is started now
    try:
        source.read(SLOTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log = source._agent._path.with_suffix(".log")
    wait_for(lambda: log.exists() and "File too large" in log.read_text())
    write_and_look(writer, source, [source], 0.5)
    wait_for(lambda: is_back(source), 10)


@on_postgresql
def test_two_hosts_that_say_they_are_one_cost_speed_alone_and_say_so(hosts, writer):
    first = hosts("a", alone=True)
    second = hosts("b", alone=True, there=False)
    assert "CACHE_HOSTS" in (second.fault() or "")
    write_and_look(writer, first, [first, second], 0.5)
    write_and_look(writer, second, [first, second], 2)
    assert not second.is_leased()
    assert first.is_leased()
    assert "CACHE_HOSTS" in next(second.folder.rglob("*.log")).read_text()
    shutil.rmtree(first.folder)
    wait_for(lambda: is_back(second), 15)
    assert second.fault() is None


@on_postgresql
def test_an_agent_at_rest_asks_nothing(hosts):
    source = hosts()
    words = source._agent.page.words
    time.sleep(2.5)
    questions = words[QUESTIONS]
    time.sleep(1.5)
    assert words[QUESTIONS] == questions


@on_postgresql
def test_a_lease_that_is_over_is_renewed_by_the_agent(hosts, writer, monkeypatch):
    source = hosts()
    time.sleep(1.5)
    writer.commit()
    assert not source.is_leased()
    monkeypatch.setattr(leased, "PATIENCE_MS", 1000)  # of a busy machine
    monkeypatch.setattr(source._checks, "read", lambda slots: pytest.fail("the database was asked"))
    assert source.read(SLOTS) == writer.truth()
    assert source.is_leased()


@on_postgresql
def test_readers_keep_the_page_leased(hosts):
    source = hosts()
    until, lapsed = time.monotonic() + 2, 0
    while time.monotonic() < until:
        lapsed += not source.is_leased()
        source.read(SLOTS)
        time.sleep(0.01)
    assert lapsed < 20


@on_postgresql
def test_an_agent_ends_when_its_folder_is_gone(hosts):
    source = hosts()
    shutil.rmtree(source.folder)
    wait_for(lambda: not hosts.agents(), 5)


@on_postgresql
def test_who_rested_while_moves_were_folded_misses_nothing(hosts, writer):
    """What his agent asks by is older than what is left of them: it loads everything."""
    asleep = hosts("a", alone=False)
    time.sleep(2)
    awake = hosts("b", alone=False)
    for _ in range(20):
        writer.commit()
    wait_for(lambda: awake.read(SLOTS) and writer.moves() == 0, 5)
    awake.settle()
    assert awake.read(SLOTS) == writer.truth()
    wait_for(lambda: is_back(asleep))
    assert asleep.read(SLOTS) == writer.truth()


@on_postgresql
def test_a_writer_that_stays_open_holds_up_the_folding_of_what_came_after_it(hosts, writer, database):
    source, slow = hosts(), Writer(database)
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
def test_a_rebase_reaches_a_page(hosts, writer):
    from app.caching import triggers_postgresql

    source = hosts()
    for _ in range(3):
        writer.commit()
        before = writer.truth()
        with writer.connection.transaction():
            for statement in triggers_postgresql.REBASE:
                writer.connection.execute(statement)
        source.settle()
        assert source.read(SLOTS) == writer.truth() != before


@on_postgresql
def test_slots_that_are_missing_are_not_leased(hosts, writer):
    writer.connection.execute("CREATE TABLE kept AS SELECT * FROM cache_generations WHERE slot = 9")
    writer.connection.execute("DELETE FROM cache_generations WHERE slot = 9")
    try:
        source = hosts(there=False)
        assert "slots are missing" in source.fault()
        assert source.read((9,)) is None
    finally:
        writer.connection.execute("INSERT INTO cache_generations SELECT * FROM kept")
        writer.connection.execute("DROP TABLE kept")


@pytest.fixture
def cluster(folder):
    """A server of our own, to be stopped: (the server, its URL)."""
    import pgserver
    from pgserver._commands import pg_ctl

    data = folder / "pg"
    data.mkdir()
    for path in (folder, data):
        path.chmod(0o755)
    server = pgserver.get_server(data, cleanup_mode="stop")
    make_tables(server.get_uri())

    def control(*command):
        options = ("-l", str(server.log), "-o", f"-h '' -k {data}") if command == ("start",) else ()
        pg_ctl(["-w", *options, *command], pgdata=data, user=server.system_user)

    yield server, control
    server.ensure_postgres_running()  # learns the number of its process, which it will want to stop
    server.cleanup()


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_a_database_that_restarts_is_loaded_anew(hosts, cluster, alone):
    server, control = cluster
    source = hosts(alone=alone, url=server.get_uri())
    for mode in ("fast", "immediate"):
        control("-m", mode, "stop")
        wait_for(lambda: source.read(SLOTS) is None, 1)
        control("start")
        writer = Writer(server.get_uri())
        with writer.connection:
            write_and_look(writer, source, [source], 0.5)
            wait_for(lambda: is_back(source), 8)
            write_and_look(writer, source, [source], 0.5)


@on_postgresql
def test_a_standby_is_not_trusted_until_it_is_promoted(hosts, cluster, folder):
    server, control = cluster
    control("-m", "fast", "stop")
    (folder / "pg" / "standby.signal").touch()
    control("start")
    source = hosts(url=server.get_uri(), there=False)
    assert "standby" in source.fault()
    assert source.read(SLOTS) is None
    control("promote")
    wait_for(lambda: is_back(source), 10)
    writer = Writer(server.get_uri())
    with writer.connection:
        write_and_look(writer, source, [source], 0.5)


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
