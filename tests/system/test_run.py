"""`python run.py` as its user meets it: real processes, in a folder of their own, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from supervisor import events

import config
from processes.speech import UP_TO_DATE
from processes.supervisord import Supervisor
from tests.conftest import BACKEND, fresh_database
from tests.servers import free_port, wait_for

SPEAKERS = "run|supervisor|cache|broker|web|stream|relay|worker"
Start = Callable[..., "Instance"]


class Instance:
    """One `python run.py` and what it has printed."""

    def __init__(self, log: Path, **settings: str) -> None:
        unset = {setting.name: "" for setting in config.SETTINGS}  # hides those of a developer's .env
        self.log, self.settings = log, {name: str(free_port()) for name in ("PORT", "STREAM_PORT")} | settings
        self.url = f"http://127.0.0.1:{self.settings['PORT']}/api"
        environ = os.environ | unset | self.settings
        with log.open("wb") as output:
            command = [sys.executable, "run.py"]
            self.process = subprocess.Popen(command, cwd=config.ROOT, env=environ, stdout=output, stderr=output)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def answers(self) -> bool:
        assert self.process.poll() is None, self.said
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def is_whole(self) -> bool:
        marks = ("relay started", " ready.", "stream     | [INFO] Started worker")
        return self.answers() and all(mark in self.said for mark in marks)

    def starts_of(self, name: str) -> list[int]:
        """The process ids of the child of this name, one for each time that it was started."""
        return [int(pid) for pid in re.findall(rf"spawned: '{name}' with pid (\d+)", self.said)]

    def child(self, name: str) -> psutil.Process:
        return psutil.Process(self.starts_of(name)[-1])

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def refused(url: str) -> int | None:
    """The status of a refusal; None where nobody answers."""
    try:
        urllib.request.urlopen(url, timeout=2)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
    raise AssertionError("it was not refused")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path: below DATA_DIR are unix sockets."""
    with tempfile.TemporaryDirectory(prefix="bs-run-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def start(folder: Path) -> Iterator[Start]:
    """Start an instance; whatever the tests have left running is killed at the end of the module."""
    instances, number = [], count()

    def begin(**settings: str) -> Instance:
        instances.append(Instance(folder / f"{next(number)}.log", **settings))
        return instances[-1]

    yield begin
    for instance in instances:
        instance.process.kill()
        instance.process.wait()


@pytest.fixture(scope="module")
def start_here(start: Start, folder: Path, worker_id: str) -> Iterator[Start]:
    """Start an instance on the data that all instances of this module share, one after the other."""
    with fresh_database(f"run_{worker_id}", folder) as url:
        own = {"DATABASE_URL": url} if BACKEND == "postgresql" else {}
        latest: list[Instance] = []

        def begin() -> Instance:
            if not latest or latest[-1].process.poll() is not None:
                latest.append(start(DATA_DIR=str(folder / "data"), **own))
            return latest[-1]

        yield begin
        for instance in latest:
            instance.process.kill()
            instance.process.wait()


@pytest.fixture
def running(start_here: Start) -> Instance:
    """An instance that is whole, left running by the test before if it can be."""
    instance: Instance = start_here()
    wait_for(instance.is_whole, 90)
    return instance


def test_it_answers_and_has_said_where(running: Instance) -> None:
    assert running.answers()
    assert f"{running.url}\n" in running.said
    assert f"{running.url}/docs\n" in running.said
    stream = f"http://127.0.0.1:{running.settings['STREAM_PORT']}/api/v2/notifications/stream"
    assert f"{stream}\n" in running.said
    assert wait_for(lambda: refused(stream)) == 401


def test_each_line_says_which_process_spoke(running: Instance) -> None:
    lines = running.said.splitlines()
    assert [line for line in lines if not re.match(rf"({SPEAKERS}) +\| ", line)] == []
    assert {line.split()[0] for line in lines} >= {"run", "supervisor", "web", "relay", "worker"}


def test_a_line_that_comes_in_pieces_is_one_line(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Python writes a line and its end apart when it does not buffer; `web` may begin to count as running between."""
    web = SimpleNamespace(config=SimpleNamespace(name="web"), pid=1, group=None, spawnerr=None)
    seen = Supervisor(options=SimpleNamespace())
    seen.subscribe()
    events.notify(events.ProcessLogStdoutEvent(web, 1, UP_TO_DATE.encode()))
    events.notify(events.ProcessStateRunningEvent(web, "STARTING"))
    events.notify(events.ProcessLogStdoutEvent(web, 1, b"\nand"))
    assert seen.up_to_date
    events.notify(events.ProcessStateExitedEvent(web, "RUNNING"))
    events.clear()
    assert capsysbinary.readouterr().out == f"web        | {UP_TO_DATE}\nweb        | and\n".encode()


def test_nobody_else_can_read_what_it_keeps(running: Instance) -> None:
    data = Path(running.settings["DATA_DIR"])
    kept = [data, *data.rglob("*")]
    assert {"secret", "cache.sock", "broker.sock"} <= {path.name for path in kept}
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_a_web_worker_that_dies_is_replaced_and_that_is_said(running: Instance) -> None:
    victim = running.child("web").children()[0]
    victim.kill()
    wait_for(lambda: "web        | [ERROR] Unexpected exit from worker" in running.said)
    wait_for(lambda: len(alive(running.child("web").children())) == 2)
    assert not alive([victim])
    assert running.answers()


@pytest.mark.parametrize("name", ["relay", "cache", "broker", "web", "stream"])
def test_a_process_that_dies_is_started_again_and_that_is_said(running: Instance, name: str) -> None:
    before = len(running.starts_of(name))
    running.child(name).kill()
    wait_for(lambda: len(running.starts_of(name)) > before)
    assert f"supervisor | exited: {name} (terminated by SIGKILL; not expected)" in running.said
    wait_for(running.answers)


def test_no_child_of_a_dead_process_lives_on(running: Instance) -> None:
    orphans: list[psutil.Process] = []

    def all_there() -> bool:
        orphans[:] = [child for name in ("web", "stream", "worker") for child in running.child(name).children()]
        return len(orphans) == 6  # granian's two and its one, Celery's two and its beat

    wait_for(all_there)
    ready = running.said.count(" ready.")
    for name in ("web", "stream", "worker"):
        running.child(name).kill()
    wait_for(lambda: not alive(orphans), 2)
    wait_for(lambda: running.said.count(" ready.") > ready, 90)
    wait_for(running.answers)


def test_a_second_start_on_the_same_data_is_refused(running: Instance, start: Start) -> None:
    second = start(DATA_DIR=running.settings["DATA_DIR"])
    assert second.process.wait(5) == 2
    assert second.said == f"DATA_DIR: {running.settings['DATA_DIR']} is in use by a Broadsheet that is running\n"
    assert running.answers()


def test_a_port_that_is_taken_is_said_in_one_line(running: Instance, start: Start, tmp_path: Path) -> None:
    wait_for(lambda: "stream     | [INFO] Started worker" in running.said)
    for name in ("PORT", "STREAM_PORT"):
        second = start(DATA_DIR=str(tmp_path), **{name: running.settings[name]})
        assert second.process.wait(5) == 2
        assert re.fullmatch(rf"{name}: \d+ is taken by another program; .*\n", second.said)


def test_production_without_a_secret_does_not_start(start: Start, tmp_path: Path) -> None:
    instance = start(DATA_DIR=str(tmp_path / "data"), APP_ENV="production")
    assert instance.process.wait(2) == 2
    assert re.fullmatch(r"SECRET_KEY: .*\n", instance.said)
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_is_said_in_one_line_by_the_commands_too() -> None:
    command = [sys.executable, "-m", "flask", "--app", "run", "outbox", "relay"]
    environ = os.environ | {"PORT": "http"}
    answer = subprocess.run(command, cwd=config.ROOT, env=environ, capture_output=True, text=True, timeout=30)
    assert answer.returncode == 2
    assert re.fullmatch(r"PORT: .*\n", answer.stderr)


def test_a_database_that_cannot_be_migrated_ends_it(start: Start, tmp_path: Path) -> None:
    instance = start(DATA_DIR=str(tmp_path), DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/file.db")
    assert instance.process.wait(20) == 1
    assert "web        | DATABASE_URL: the database could not be migrated, see above\n" in instance.said
    assert not instance.starts_of("relay")


def test_killing_the_parent_outright_leaves_nothing_alive_and_the_next_start_answers(
    running: Instance, start_here: Start
) -> None:
    descendants = running.descendants()
    metrics = Path(running.settings["DATA_DIR"], "metrics")
    wait_for(lambda: running.answers() and metrics.exists() and any(metrics.iterdir()))  # an answer is counted after it
    running.process.kill()
    running.process.wait()
    wait_for(lambda: not alive(descendants), 2)
    counted = set(metrics.iterdir())
    wait_for(start_here().answers, 90)
    assert not counted & set(metrics.iterdir()), "counts of a former start"


def ends_cleanly(instance: Instance, number: signal.Signals) -> None:
    descendants = instance.descendants()
    assert len(descendants) == 12  # two Redis, granian with its two, with its one, the relay, Celery with two and beat
    instance.process.send_signal(number)
    assert instance.process.wait(10) == 0
    assert not alive(descendants)
    left = {path.name for path in Path(instance.settings["DATA_DIR"], "run").iterdir()}
    assert left == {"supervisord.conf"}  # no socket, no pid file, no lock


def test_sigterm_ends_everything_within_ten_seconds(running: Instance) -> None:
    ends_cleanly(running, signal.SIGTERM)
    assert "Cold shutdown" in running.said  # a warm one would wait for the tasks


def test_ctrl_c_ends_everything_within_ten_seconds_even_if_the_worker_hangs(running: Instance) -> None:
    running.child("worker").suspend()
    ends_cleanly(running, signal.SIGINT)
