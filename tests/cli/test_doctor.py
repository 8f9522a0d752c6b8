"""`flask doctor`, a process of its own on real parts: each that is ill is named, with what to do."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple

import pytest

from app import create_app
from app.events import PostPublished, emit
from app.extensions import db
from app.services.atomic import atomic
from tests.cli.test_cache import DROP, TRIGGER
from tests.conftest import BACKEND, fresh_database
from tests.servers import ROOT, CeleryWorker, Redis, free_port
from tests.tasks.mail_server import CERTIFICATE, PASSWORD, USER, MailServer

PARTS = ["settings", "database", "migrations", "triggers", "cache", "broker", "worker", "outbox", "mail", "disk"]
Said = namedtuple("Said", "status levels lines")
CACHE_POLICY = ("--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru")


def _flask(environ, *arguments):
    command = [sys.executable, "-m", "flask", "--app", "app", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def _run(environ, pipe):
    os.environ.update({name: text for name, text in environ.items() if name == "SSL_CERT_FILE"})  # OpenSSL's own
    result = create_app(environ).test_cli_runner().invoke(args=["doctor"])
    pipe.send((result.exit_code, result.stdout, result.exception))


@pytest.fixture
def doctor(environ, app):
    """doctor(NAME=value …): exit status, each part's level and line, under the tests' settings but for these.

    In a process forked from here: an app belongs to a process, and to import it takes longer than to run the command.
    """

    def examine(**changes):
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_run, args=(environ | changes, theirs))
        child.start()
        assert ours.poll(60)
        status, text, raised = ours.recv()
        child.join()
        assert raised is None or isinstance(raised, SystemExit), raised
        rows = [
            line.split(maxsplit=2) for line in text.splitlines() if " INFO " not in line and " WARNING " not in line
        ]
        assert [name for _, name, _ in rows] == PARTS, text
        levels = {name: level for level, name, _ in rows}
        assert status == ("BAD" in levels.values()), text
        return Said(status, levels, {name: line for _, name, line in rows})

    return examine


@pytest.fixture(scope="module")
def cache():
    with Redis(*CACHE_POLICY) as server:
        yield server


@pytest.fixture(scope="module")
def broker():
    with Redis("--appendonly", "yes", "--maxmemory-policy", "noeviction") as server:
        yield server


@pytest.fixture(scope="module")
def mail():
    with MailServer() as server:
        yield server


def test_where_all_is_well_it_says_so_and_exits_0(doctor, environ, cache, broker, mail):
    well = {"REDIS_URL": cache.url, "BROKER_URL": broker.broker_url}
    well |= {"SMTP_URL": mail.url, "SSL_CERT_FILE": str(CERTIFICATE), "DATA_DIR": environ["DATA_DIR"]}
    with CeleryWorker(environ | well):
        said = doctor(**well)
    assert said.levels == dict.fromkeys(PARTS, "ok"), said.lines
    assert said.status == 0
    assert "->" not in "".join(said.lines.values())
    assert said.lines["worker"] == "1 answer"
    assert said.lines["database"].startswith(BACKEND)
    assert mail.logins == [USER.encode()], "it has logged in"
    assert mail.messages == [], "and sent nothing"


def test_warnings_alone_exit_0_and_each_says_what_to_do(doctor):
    said = doctor()  # the two Redis of the tests: no maxmemory, nothing on disk, and nobody works
    assert said.status == 0
    assert "maxmemory 0" in said.lines["cache"]
    assert "-> set maxmemory 256mb, maxmemory-policy volatile-lru" in said.lines["cache"]
    assert said.lines["broker"].endswith("-> set appendonly yes")
    assert (
        "-> celery -A celery_worker.celery worker -Q notifications,urgent,mail,webhooks,background"
        in said.lines["worker"]
    )
    assert [said.levels[part] for part in ("cache", "broker", "worker")] == ["warn"] * 3


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_servers_that_are_away_are_named_and_all_else_is_examined(doctor, scheme):
    nobody = free_port()
    said = doctor(
        REDIS_URL=f"redis://:hunter2@127.0.0.1:{nobody}/0",
        BROKER_URL=f"{scheme}://someone:hunter2@127.0.0.1:{nobody}/",
        SMTP_URL=f"smtp://someone:hunter2@127.0.0.1:{nobody}",
    )
    assert said.levels["cache"] == "warn"
    assert "misses only, nothing stale" in said.lines["cache"]
    assert said.levels["broker"] == "BAD"
    assert "-> start what BROKER_URL names" in said.lines["broker"]
    assert said.levels["worker"] == "warn"
    assert said.levels["mail"] == "BAD"
    assert "-> see that SMTP_URL is right" in said.lines["mail"]
    assert said.levels["database"] == said.levels["triggers"] == said.levels["disk"] == "ok"
    assert "hunter2" not in "".join(said.lines.values())


def test_servers_that_accept_and_say_nothing_hang_no_more_than_their_own_part(doctor):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        said = doctor(
            DATABASE_URL=f"postgresql://someone:hunter2@{at}/broadsheet",
            REDIS_URL=f"redis://:hunter2@{at}/0",
            BROKER_URL=f"redis://:hunter2@{at}/0",
            SMTP_URL=f"smtp://someone:hunter2@{at}",
        )
    assert time.monotonic() - begun < 12
    ill = {part for part, level in said.levels.items() if level == "BAD"}
    assert ill == {"database", "migrations", "triggers", "broker", "outbox", "mail"}
    assert "hunter2" not in "".join(said.lines.values())


def test_a_password_that_makes_a_url_unreadable_is_not_shown(doctor):
    said = doctor(SMTP_URL="smtp://someone:hun/ter2@127.0.0.1:587")
    assert said.levels["mail"] == "BAD"
    assert "hun" not in "".join(said.lines.values())


def test_a_broker_that_evicts_is_bad(doctor):
    with Redis("--appendonly", "yes", *CACHE_POLICY) as evicting:
        said = doctor(BROKER_URL=evicting.broker_url)
    assert said.levels["broker"] == "BAD"
    assert "volatile-lru can evict notifications' messages" in said.lines["broker"]
    assert said.lines["broker"].endswith("-> set maxmemory-policy noeviction")


def test_one_server_for_both_and_a_cache_that_never_evicts_are_told(doctor, broker):
    broker.client.config_set("maxmemory", "64mb")
    said = doctor(REDIS_URL=broker.url, BROKER_URL=broker.broker_url)
    broker.client.config_set("maxmemory", "0")
    assert "-> set maxmemory-policy volatile-lru" in said.lines["cache"]
    assert "noeviction" in said.lines["cache"]
    assert said.levels["broker"] == "warn"
    assert "set BROKER_URL to another" in said.lines["broker"]


def test_redis_that_keep_their_settings_to_themselves_are_not_trusted_blindly(doctor):
    with Redis("--rename-command", "CONFIG", "") as hosted, Redis("--rename-command", "CONFIG", "") as other:
        said = doctor(REDIS_URL=hosted.url, BROKER_URL=other.broker_url)
    for part in ("cache", "broker"):
        assert said.levels[part] == "warn"
        assert "not told -> see yourself that it has" in said.lines[part]


def test_a_trigger_that_is_gone_is_bad_until_install(app, doctor, run):
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(DROP)
    try:
        said = doctor()
    finally:
        run("cache", "install")
    assert said.levels["triggers"] == "BAD"
    assert f"the trigger {TRIGGER} is missing" in said.lines["triggers"]
    assert "-> flask --app run cache install" in said.lines["triggers"]
    assert said.levels["migrations"] == "ok"


def test_an_empty_database_and_one_of_an_older_release_are_to_be_upgraded(doctor, environ, tmp_path, worker_id):
    with fresh_database(f"doctor_{worker_id}", tmp_path) as url:
        empty = doctor(DATABASE_URL=url)
        for step in (("upgrade",), ("downgrade", "0002")):
            assert _flask(environ | {"DATABASE_URL": url}, "db", *step).returncode == 0
        older = doctor(DATABASE_URL=url)
    assert "at none" in empty.lines["migrations"]
    assert "at 0002" in older.lines["migrations"]
    for said in (empty, older):
        assert said.levels["database"] == "ok"
        assert said.levels["migrations"] == said.levels["triggers"] == "BAD"
        assert said.lines["migrations"].endswith("-> flask --app run db upgrade")
    assert empty.levels["outbox"] == "BAD"


def test_a_database_of_a_newer_release_is_not_to_be_upgraded(doctor, sql):
    ((head,),) = sql("SELECT version_num FROM alembic_version")
    sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        said = doctor()
    finally:
        sql("UPDATE alembic_version SET version_num = :head", head=head)
    assert said.levels["migrations"] == "BAD"
    assert "-> start the release that made it" in said.lines["migrations"]


def test_messages_given_up_and_messages_that_wait_too_long_are_told(app, doctor, sql):
    with app.app_context(), atomic():
        emit(PostPublished(1))
    assert doctor().levels["outbox"] == "ok"
    sql("UPDATE outbox SET created_at = '2020-01-01 00:00:00'")
    sql("UPDATE outbox SET dead_at = created_at WHERE subscriber = 'notify_author'")
    said = doctor()
    assert said.levels["outbox"] == "warn"
    assert said.lines["outbox"].startswith("3 waiting; 1 dead; the oldest for ")
    assert "flask --app run outbox replay" in said.lines["outbox"]
    assert "flask --app run outbox relay" in said.lines["outbox"]


def test_a_mail_server_that_refuses_the_password_is_bad(doctor, mail):
    said = doctor(SMTP_URL=mail.url_of(USER, "hunter2"), SSL_CERT_FILE=str(CERTIFICATE))
    assert said.levels["mail"] == "BAD"
    assert "535" in said.lines["mail"]
    assert "hunter2" not in said.lines["mail"]
    untrusted = doctor(SMTP_URL=mail.url)  # without its authority
    assert untrusted.levels["mail"] == "BAD"
    assert "certificate verify failed" in untrusted.lines["mail"]
    assert PASSWORD not in untrusted.lines["mail"]


def test_in_production_what_is_fit_for_development_only_is_told(doctor):
    weak = {"APP_ENV": "production", "TRUSTED_HOSTS": "localhost", "BCRYPT_LOG_ROUNDS": "12"}
    said = doctor(**weak)
    assert said.levels["settings"] == "warn"
    assert "TRUSTED_HOSTS is still localhost -> set it" in said.lines["settings"]
    assert said.lines["mail"] == "files in DATA_DIR/mail -> set SMTP_URL"
    assert said.levels["database"] == ("warn" if BACKEND == "sqlite" else "ok")


def test_a_folder_that_is_not_there_is_bad(doctor, tmp_path):
    said = doctor(DATA_DIR=str(tmp_path / "nowhere"))
    assert said.levels["disk"] == "BAD"
    assert "-> make DATA_DIR, writable by this user" in said.lines["disk"]


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [(10**13, 10**12, "ok"), (10**13, 10**11, "warn"), (10**9, 499_000_000, "warn"), (10**9, 49_000_000, "BAD")],
)
def test_a_disk_that_fills_is_told_in_time(app, monkeypatch, total, free, level):
    usage = namedtuple("usage", "total used free")(total, total - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)  # a full disk of our own needs root
    line = app.test_cli_runner().invoke(args=["doctor"]).stdout.splitlines()[-1]
    assert line.split()[:2] == [level, "disk"]
    assert ("-> make room" in line) == (level != "ok")


def test_the_page_for_the_operator_shows_each_part():
    page = (ROOT / "docs/operating.md").read_text()
    shown = page.partition("$ flask --app run doctor\n")[2].partition("```")[0]
    assert [line.split()[1] for line in shown.splitlines()] == PARTS
