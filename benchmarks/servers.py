"""The servers that are measured: they die with us, whatever ends us."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import config
from processes.table import GRANIAN, RELAY, TETHER, table

ROOT = Path(__file__).resolve().parent.parent
SECRET = "a-secret-for-benchmarks-only-0123456789abcdef"
SERVED = GRANIAN.partition(" ")[2].split()  # granian's arguments in production


class Server:
    """A process, ended with the `with` block, or by the kernel when we end."""

    def __init__(self, *command: str, environ: Mapping[str, str] | None = None, sign: str = "KILL") -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        tethered = [sys.executable, "-IS", str(TETHER), sign, str(os.getpid()), *command]
        kept = {name: os.environ[name] for name in ("PATH", "XDG_RUNTIME_DIR") if name in os.environ}
        self.popen = subprocess.Popen(
            tethered,
            cwd=ROOT,
            env=kept | dict(environ or {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to hear
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def wait_for(self, ready: Callable[[], object], seconds: float = 60) -> None:
        """Until it is ready. RuntimeError with what it has said if it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.popen.args[5:]} did not start:\n{self.output[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, without a farewell."""
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        """Kindly, then not."""
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(10)
        self.kill()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


class Redis(Server):
    """The Redis that `make run` starts for the cache, on a unix socket."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="bs-")
        values = config.load({"SECRET_KEY": SECRET, "DATA_DIR": self.folder})
        self.socket = values["EMBEDDED_CACHE"]
        Path(self.socket).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(*next(process.command for process in table(values) if process.name == "cache"))
        self.url = f"unix://{self.socket}"
        self.wait_for(lambda: accepts(self.socket))

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Web(Server):
    """An application on granian, with the arguments of production. Its answers are those of `url`."""

    def __init__(
        self,
        target: str,
        environ: Mapping[str, str],
        *,
        module: str = "granian",
        interface: str = "wsgi",
        workers: int = 2,
        threads: int = 4,
    ) -> None:
        self.port = free_port()
        size = ["--workers", str(workers), *(["--blocking-threads", str(threads)] if interface == "wsgi" else [])]
        served = [interface if argument == "wsgi" else argument for argument in SERVED]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = [sys.executable, "-m", module, *served, *size, *address, target]
        super().__init__(*command, environ=dict(environ) | {"THREADS": str(threads), "PYTHONUNBUFFERED": "1"})
        self.wait_for(lambda: self.output.count("Started worker") >= workers and accepts(self.port))


def broadsheet(environ: Mapping[str, str], target: str = "processes.web:supervised_app", **options: Any) -> Web:
    """Broadsheet, started as `make run` starts it; it migrates its database first."""
    return Web(target, settled(environ), module="processes.web", **options)


def relay(environ: Mapping[str, str]) -> Server:
    """Broadsheet's relay, which folds the moves of generations too: without it reads on PostgreSQL slow down."""
    return Server(sys.executable, "-m", *RELAY.split(), environ=settled(environ))


def tutorial(environ: Mapping[str, str], **options: Any) -> Web:
    """The tutorial's way."""
    return Web("benchmarks.served:tutorial", environ, **options)


def bare(answer: Path, **options: Any) -> Web:
    """A bare WSGI application that gives what was recorded there."""
    return Web("benchmarks.served:bare", {"ANSWER": str(answer)}, **options)


def record(url: str, answer: Path) -> None:
    """Write down an answer for `bare`, but for what the server itself adds."""
    with urllib.request.urlopen(url) as heard:
        headers = [pair for pair in heard.headers.items() if pair[0].lower() not in ("connection", "date", "server")]
        answer.write_bytes(json.dumps(headers).encode() + b"\n" + heard.read())


def rival(environ: Mapping[str, str], **options: Any) -> Web:
    """FastAPI."""
    return Web("benchmarks.served:rival", environ, interface="asgi", **options)


def settled(environ: Mapping[str, str]) -> dict[str, str]:
    """All settings of a Broadsheet that is measured, those given and the rest."""
    unset = {setting.name: "" for setting in config.SETTINGS}  # hides those of a developer's .env
    settings = {"SECRET_KEY": SECRET, "WRITES_PER_MINUTE": "1000000", "LOG_LEVEL": "WARNING"}
    return unset | settings | dict(environ)


def accepts(address: str | int) -> bool:
    """Whether somebody listens at this unix socket or port."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as probe:
        return probe.connect_ex(address if isinstance(address, str) else ("127.0.0.1", address)) == 0


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
