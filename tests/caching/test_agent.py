"""Real agents, hurt in each way there is: nobody reads less than was answered for, and they are back in seconds."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from app.caching import page
from app.caching.page import HEAD, MARK, QUESTIONS, boottime
from tests.caching.leases import SLOTS, Wire, Writer, agent_of, is_back, make_tables, stop, write_and_look
from tests.conftest import BACKEND
from tests.servers import wait_for

on_postgresql = pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite needs no agent")


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_a_killed_agent_is_replaced(host, hosts, writer, alone):
    source, other = host(alone=alone), host(alone=alone)
    for _ in range(2):
        killed = agent_of(source)
        os.kill(killed, signal.SIGKILL)
        write_and_look(writer, source, [source, other], 0.5)
        wait_for(lambda: is_back(source) and is_back(other), 8)
        assert agent_of(source) != killed
        wait_for(lambda: len(hosts.agents()) == 1)  # whoever comes second sees the lock and ends


@on_postgresql
@pytest.mark.parametrize("alone", [True, False], ids=["one host", "many hosts"])
def test_a_stopped_agent_is_killed_and_replaced(host, writer, alone):
    source, other = host(alone=alone), host(alone=alone)
    stopped = agent_of(source)
    stop(stopped)
    write_and_look(writer, source, [source, other], 3)
    wait_for(lambda: is_back(source) and is_back(other), 8)
    assert agent_of(source) != stopped
    assert not psutil.pid_exists(stopped) or psutil.Process(stopped).status() == psutil.STATUS_ZOMBIE
    write_and_look(writer, source, [source, other], 0.5)


@on_postgresql
def test_an_agent_that_was_stopped_for_a_while_goes_on(host, writer):
    """It holds its lock meanwhile, and what it then writes has the time of its question."""
    source = host()
    agent = agent_of(source)
    for _ in range(6):
        stop(agent)
        write_and_look(writer, source, [source], 0.4)
        os.kill(agent, signal.SIGCONT)
        write_and_look(writer, source, [source], 0.2)
    assert agent_of(source) == agent
    wait_for(lambda: is_back(source))


@on_postgresql
def test_nobody_kills_who_has_the_number_of_an_agent_that_is_gone(host):
    source = host()
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
def test_an_agent_whose_wire_is_dead_dies_and_is_replaced(host, hosts, writer, cache_database, short_folder):
    wire = Wire(short_folder, cache_database)
    try:
        source = host(agent_url=wire.url)
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
def test_of_agents_that_start_at_once_one_writes(host, hosts, writer):
    source = host(there=False)
    for _ in range(5):
        source._agent._start_at = 0.0
        source._agent._start()
    wait_for(lambda: is_back(source), 10)
    wait_for(lambda: len(hosts.agents()) == 1, 5)
    write_and_look(writer, source, [source], 0.3)


def bytes_of(slots, when, **changed):
    """A page that says of each slot that its generation is 1, as checked then."""
    words = memoryview(bytearray(8 * (HEAD + slots))).cast("q")
    for slot in range(slots):
        words[HEAD + slot] = 1
    head = {"KIND": MARK, "SLOTS": slots, "BOOT": page._boot(), "CHECKED": when} | changed
    for name, value in head.items():
        words[getattr(page, name)] = value
    return words.tobytes()


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
def test_a_page_that_was_left_is_not_trusted_and_is_made_anew(host, writer, what):
    source = host(there=False)
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
def test_files_that_are_removed_come_again(host, writer, what):
    source, other = host(), host()
    path = source._agent._path
    if what == "folder":
        shutil.rmtree(source.folder)
    else:
        path.with_suffix(f".{what}").unlink()
    seen = write_and_look(writer, source, [source, other], 3)
    assert seen
    wait_for(lambda: is_back(source) and is_back(other), 10)


@on_postgresql
def test_a_folder_that_cannot_be_written_to_costs_speed_alone(host, writer, short_folder):
    (short_folder / "a").write_text("a file")
    source = host(there=False)
    write_and_look(writer, source, [source], 1)
    assert not source.is_leased()
    assert "no agent" in source.fault()
    (short_folder / "a").unlink()
    wait_for(lambda: is_back(source), 10)


@on_postgresql
def test_a_full_disk_costs_speed_alone(host, writer):
    source = host(there=False)
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
def test_two_hosts_that_say_they_are_one_cost_speed_alone_and_say_so(host, writer):
    first = host("a", alone=True)
    second = host("b", alone=True, there=False)
    wait_for(lambda: "CACHE_HOSTS" in (second.fault() or ""))
    write_and_look(writer, first, [first, second], 0.5)
    write_and_look(writer, second, [first, second], 2)
    assert not second.is_leased()
    assert first.is_leased()
    assert "CACHE_HOSTS" in next(second.folder.rglob("*.log")).read_text()
    shutil.rmtree(first.folder)
    wait_for(lambda: is_back(second), 15)
    assert second.fault() is None


@on_postgresql
def test_of_two_hosts_that_say_they_are_one_either_may_lose_its_connection(host, writer):
    """Whoever comes first then does not lease before what the other has leased is over."""
    sources = [host("a", alone=True), host("b", alone=True, there=False)]
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'broadsheet agent %'"
    for _ in range(15):
        writer.connection.execute(cut)
        for source in sources:
            write_and_look(writer, source, sources, 0.35)


@on_postgresql
def test_an_agent_at_rest_asks_nothing(host):
    source = host()
    words = source._agent.page.words
    time.sleep(2.5)
    questions = words[QUESTIONS]
    time.sleep(1.5)
    assert words[QUESTIONS] == questions


@on_postgresql
def test_an_agent_ends_when_its_folder_is_gone(host, hosts):
    source = host()
    shutil.rmtree(source.folder)
    wait_for(lambda: not hosts.agents(), 5)


@pytest.fixture
def missing(writer):
    """missing(): one slot is away until the end of the test."""
    writer.connection.execute("CREATE TABLE kept AS SELECT * FROM cache_generations WHERE slot = 2000")
    yield lambda: writer.connection.execute("DELETE FROM cache_generations WHERE slot = 2000")
    writer.connection.execute("INSERT INTO cache_generations SELECT * FROM kept ON CONFLICT DO NOTHING")
    writer.connection.execute("DROP TABLE kept")


@on_postgresql
def test_slots_that_are_missing_are_not_leased(host, missing):
    missing()
    source = host(there=False)
    wait_for(lambda: "slots are missing" in (source.fault() or ""))
    assert source.read((2000,)) is None


@on_postgresql
def test_a_slot_that_is_taken_away_and_moves_is_not_leased(host, writer, missing):
    source = host()
    missing()
    writer.commit(2000)
    source.settle()
    assert source.read((2000,)) is None


@pytest.fixture
def cluster(short_folder):
    """A server of our own, to be stopped: (the server, its URL)."""
    import pgserver
    from pgserver._commands import pg_ctl

    data = short_folder / "pg"
    data.mkdir()
    for path in (short_folder, data):
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
def test_an_agent_outlives_a_database_that_is_away_for_a_while(hosts, cluster):
    server, control = cluster
    source = hosts(url=server.get_uri())
    agent = agent_of(source)
    control("-m", "fast", "stop")
    until = time.monotonic() + 3
    while time.monotonic() < until:
        source.read(SLOTS)
        time.sleep(0.05)
    control("start")
    wait_for(lambda: is_back(source), 8)
    assert agent_of(source) == agent


@on_postgresql
def test_a_standby_is_not_trusted_until_it_is_promoted(hosts, cluster, short_folder):
    server, control = cluster
    control("-m", "fast", "stop")
    (short_folder / "pg" / "standby.signal").touch()
    control("start")
    source = hosts(url=server.get_uri(), there=False)
    wait_for(lambda: "standby" in (source.fault() or ""))
    assert source.read(SLOTS) is None
    control("promote")
    wait_for(lambda: is_back(source), 10)
    writer = Writer(server.get_uri())
    with writer.connection:
        write_and_look(writer, source, [source], 0.5)
