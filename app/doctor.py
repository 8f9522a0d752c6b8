"""`flask --app run doctor`: the parts that Broadsheet stands on, each examined for real.

An examination yields what it finds: level, what is, what to do; or something false for a fault that is not there.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import redis
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import inspect, text

from app.caching import triggers
from app.extensions import celery, db
from app.services import mail, outbox

OK, WARN, BAD = range(3)
SECONDS, REDIS_SECONDS = 6, 2  # for all, for a step
SHORT = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}


def _settings(production: bool) -> Iterator[Any]:
    local = set(current_app.config["TRUSTED_HOSTS"]) <= {"localhost", "127.0.0.1"}
    yield OK, current_app.config["APP_ENV"], ""
    yield production and local and (WARN, "TRUSTED_HOSTS is still localhost", "set it to the names that people use")


def _database(production: bool) -> Iterator[Any]:
    with db.engine.connect() as connection:
        name, version = connection.dialect.name, connection.dialect.server_version_info or ()
    yield OK, f"{name} {'.'.join(map(str, version))}, {db.engine.url.database}", ""
    yield production and name == "sqlite" and (WARN, "one writer, one machine", "set DATABASE_URL to PostgreSQL")


def _migrations(production: bool) -> Iterator[Any]:
    script = ScriptDirectory.from_config(current_app.extensions["migrate"].migrate.get_config())
    with db.engine.connect() as connection:
        begun = inspect(connection).has_table("alembic_version")
        at = set(connection.scalars(text("SELECT version_num FROM alembic_version"))) if begun else set()
    yield OK, f"at {', '.join(at) or 'none'}", ""
    known = at <= {revision.revision for revision in script.walk_revisions()}
    todo = "flask --app run db upgrade" if known else "start the release that made it: this one does not know it"
    yield at != set(script.get_heads()) and (BAD, f"should be at {', '.join(script.get_heads())}", todo)


def _triggers(production: bool) -> Iterator[Any]:
    with db.engine.connect() as connection:
        faults = triggers.faults(connection)
    what = f"{len(faults)} faults, nothing is cached: {faults[0]}" if faults else "as the page says"
    yield (BAD, what, "flask --app run cache install, once migrations are ok") if faults else (OK, what, "")


def _told(client: Any, wanted: str) -> Generator[Any, Any, tuple[str, dict[str, str]]]:
    """Its run id, and its settings where it tells them: a hosted Redis may not."""
    server = client.info("server")
    yield OK, f"Redis {server['redis_version']}", ""
    try:
        told = client.config_get("maxmemory*") | client.config_get("appendonly") | client.config_get("save")
    except redis.ResponseError:
        told = {}
    yield not told and (WARN, "its maxmemory-policy is not told", f"see yourself that it has {wanted}")
    return server["run_id"], told


def _cache(production: bool) -> Iterator[Any]:
    fault = current_app.extensions["coherence"].source.fault()
    yield fault and (WARN, *fault.split(" -> "))
    with redis.from_url(current_app.config["CACHE_REDIS_URL"], **SHORT) as client:
        _, told = yield from _told(client, "maxmemory 256mb and maxmemory-policy volatile-lru")
    endless, full = told.get("maxmemory") == "0", told.get("maxmemory-policy") == "noeviction"
    yield endless and (WARN, "maxmemory 0, grows without end", "set maxmemory 256mb, maxmemory-policy volatile-lru")
    yield full and not endless and (WARN, "noeviction, once full keeps nothing", "set maxmemory-policy volatile-lru")


def _broker(production: bool) -> Iterator[Any]:
    with celery.connection_for_write(connect_timeout=REDIS_SECONDS) as connection:
        connection.ensure_connection(max_retries=0, timeout=REDIS_SECONDS)
        if (kind := connection.transport.driver_type) != "redis":
            return (yield OK, f"{kind} answers", "")
        channel: Any = connection.default_channel
        name, told = yield from _told(channel.client, "noeviction and appendonly yes")
    evicts = told.get("maxmemory-policy", "noeviction") != "noeviction"
    what = "can evict notifications' messages (the outbox publishes them again)"
    yield evicts and (BAD, f"{told['maxmemory-policy']} {what}", "set maxmemory-policy noeviction")
    forgets = told.get("appendonly") == "no" and not told["save"]
    yield forgets and (WARN, "a restart loses what is queued (published again later)", "set appendonly yes")
    with suppress(redis.RedisError), redis.from_url(current_app.config["CACHE_REDIS_URL"], **SHORT) as cache:
        same = cache.info("server")["run_id"] == name
        yield same and (WARN, "is the cache's server too: one evicts, the other never", "set BROKER_URL to another")


def _worker(production: bool) -> Iterator[Any]:
    with celery.connection_for_write(connect_timeout=REDIS_SECONDS) as connection:
        connection.ensure_connection(max_retries=0, timeout=REDIS_SECONDS)
        answers = celery.control.ping(timeout=1, connection=connection)
    todo = "celery -A celery_worker.celery worker -Q notifications,urgent,mail,webhooks,background"
    yield (OK, f"{len(answers)} answer", "") if answers else (WARN, "none answers within 1 s", todo)


def _outbox(production: bool) -> Iterator[Any]:
    counts, late = outbox.counts(), outbox.oldest_seconds()
    yield OK, f"{counts['waiting']} waiting", ""
    todo = "mend last_error's cause, then flask --app run outbox replay"
    yield counts["dead"] and (WARN, f"{counts['dead']} dead", todo)
    yield late > outbox.LATE_SECONDS and (
        WARN,
        f"the oldest for {late:.0f} s",
        "see that flask --app run outbox relay and a worker run",
    )


def _mail(production: bool) -> Iterator[Any]:
    if not (url := current_app.config["SMTP_URL"]):
        yield (WARN if production else OK), "files in DATA_DIR/mail", "set SMTP_URL" if production else ""
        return
    with closing(mail.connected(url)) as server:
        if (said := server.noop())[0] != 250:
            raise smtplib.SMTPResponseException(*said)
    yield OK, f"{urlsplit(url).hostname} answers", ""


def _disk(production: bool) -> Iterator[Any]:
    total, _, free = shutil.disk_usage(folder := current_app.config["DATA_DIR"])
    level = BAD if free < 50e6 else WARN if free < max(500e6, total * 0.05) else OK
    yield level, f"{free / 1e6:,.0f} MB free in {folder}", "make room" if level else ""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"permissions say nothing of a disk mounted read-only")


EXAMINATIONS = (  # what a part that fails or hangs is, and what to do then
    (_settings, BAD, ""),
    (_database, BAD, "see that DATABASE_URL is right and its server runs"),
    (_migrations, BAD, "mend the database"),
    (_triggers, BAD, "mend the database"),
    (_cache, WARN, "misses only, nothing stale: start what REDIS_URL names"),
    (_broker, BAD, "start what BROKER_URL names; notifications wait in the outbox"),
    (_worker, WARN, "mend the broker"),
    (_outbox, BAD, "mend the database, or flask --app run db upgrade"),
    (_mail, BAD, "see that SMTP_URL is right and its server runs; mails wait in the outbox"),
    (_disk, BAD, "make DATA_DIR, writable by this user"),
)


def examine() -> Iterator[tuple[bool, str]]:
    """Examine all parts at once: of each, whether it is BAD, and its line. What hangs is left behind after SECONDS."""
    results: list[list[Any]] = [[] for _ in EXAMINATIONS]
    threads = [
        threading.Thread(target=_note, args=(*examination, current_app.app_context(), found), daemon=True)
        for examination, found in zip(EXAMINATIONS, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SECONDS
    for (part, failed, todo), found, thread in zip(EXAMINATIONS, results, threads, strict=True):
        thread.join(max(0, deadline - time.monotonic()))
        hangs = [(failed, f"no answer within {SECONDS} s", todo)] if thread.is_alive() else []
        levels, whats, todos = zip(*found, *hangs, strict=True)
        line = " -> ".join(filter(None, ("; ".join(whats), "; ".join(filter(None, todos)))))
        yield BAD in levels, f"{('ok', 'warn', 'BAD')[max(levels)]:4}  {part.__name__[1:]:10}  {line}"


def _note(part: Any, failed: int, todo: str, context: Any, found: list[Any]) -> None:
    with context:
        try:
            found.extend(filter(None, part(current_app.config["APP_ENV"] == "production")))
        except Exception as error:  # whatever a driver raises, the other parts are examined
            said = re.sub(r"//\S*@", "//", str(getattr(error, "orig", None) or error).partition("\n")[0])
            quotes = isinstance(error, ValueError) and not isinstance(error, OSError)  # a bad URL, password and all
            found.append((failed, type(error).__name__ if quotes or not said else said, todo))
