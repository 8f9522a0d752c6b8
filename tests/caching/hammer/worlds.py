"""Where it is hammered: a database, Redis, and servers of one host or two."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from app.caching import leased
from app.caching.page import HEAD, PID
from tests.conftest import MEMORY
from tests.servers import Redis, WebServer

from .board import Board
from .plan import Author
from .rows import fill

ALONE = "leased-one"
WORLDS = ("sqlite", "postgresql", "leased", ALONE)
AUTHORS = 3
HOURS = 24.0


class Cluster:
    """A PostgreSQL of our own, to be restarted."""

    def __init__(self, folder: Path) -> None:
        import pgserver

        logging.getLogger("pgserver").setLevel(logging.CRITICAL)
        data = folder / "pg"
        data.mkdir()
        for path in (folder, data):
            path.chmod(0o755)  # as root, pgserver runs as a user of its own
        self.server = pgserver.get_server(data, cleanup_mode="stop")
        self.url: str = self.server.get_uri()

    def stop(self, mode: str) -> None:
        """`fast` ends its connections; `immediate` is a crash, as for its data."""
        from pgserver._commands import pg_ctl

        pg_ctl(["-w", "-m", mode, "stop"], pgdata=self.server.pgdata, user=self.server.system_user)

    def start(self) -> None:
        self.server.ensure_postgres_running()

    def backends(self) -> list[psutil.Process]:
        """The processes that serve a client."""
        master = int((self.server.pgdata / "postmaster.pid").read_text().split()[0])
        return [child for child in psutil.Process(master).children() if "[local]" in " ".join(child.cmdline())]

    def close(self) -> None:
        self.stop("immediate")
        self.server.cleanup()


class World:
    """One of WORLDS, with its rows, up and ready. `hosts` are the data folders of its hosts, «leased» has two."""

    def __init__(self, name: str, folder: Path, workers: int = 2) -> None:
        self.name, self.folder = name, folder
        self.is_leased, self.is_alone = name.startswith("leased"), name == ALONE
        self.board = Board.made(folder / "board")
        self.redis = Redis(folder=str(folder / "redis"))
        self.cluster = None if name == "sqlite" else Cluster(folder)
        self.database = self.cluster.url if self.cluster else f"sqlite:///{folder}/hammer.db"
        self.hosts = [folder / name for name in (("a", "b") if name == "leased" else ("a",))]
        self.authors: list[Author] = fill(self._environ(self.hosts[0]), AUTHORS, HOURS)
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            self.servers = list(pool.map(lambda host: self._server(host, workers), self.hosts))
        assert len({server.port for server in self.servers}) == len(self.servers), "two servers share a port"

    @property
    def lease(self) -> float:
        """How many seconds a write beside the API may stay unseen."""
        lease = leased.LEASE_ONE_MS if self.is_alone else leased.LEASE_MANY_MS
        return (lease + leased.MARGIN_MS) / 1000 if self.is_leased else 0.0

    def workers(self) -> list[psutil.Process]:
        """The servers' processes that answer."""
        children = [child for server in self.servers for child in psutil.Process(server.pid).children()]
        return [child for child in children if "resource_tracker" not in " ".join(_words(child))]

    def agents(self) -> list[psutil.Process]:
        """The processes that hold a host's page."""
        found = []
        for page in self.folder.glob("*/cache/*.page"):
            head = page.read_bytes()[: 8 * HEAD]
            with contextlib.suppress(psutil.Error, IndexError):
                process = psutil.Process(memoryview(head).cast("q")[PID])
                found += [process] if str(page) in _words(process) else []
        return found

    def is_up(self) -> bool:
        """Whether all servers are there."""
        return all(server.popen.poll() is None for server in self.servers)

    def restart_redis(self) -> None:
        """Kill it; the next one begins with what it has saved some time ago."""
        self.redis.kill_group()
        self.redis.popen.wait()
        self.redis = Redis(folder=str(self.folder / "redis"))
        self.redis.client.save()

    def close(self) -> None:
        for server in self.servers:
            server.kill_group()  # granian would wait for a worker that has just begun and hears no signal
            server.stop()
        for process in psutil.process_iter():  # agents, also such as hold no page yet
            if any(word.startswith(f"{self.folder}/") and word.endswith(".page") for word in _words(process)):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self.redis.stop()
        if self.cluster:
            self.cluster.close()

    def _environ(self, host: Path) -> dict[str, str]:
        host.mkdir(exist_ok=True)
        return {
            "SECRET_KEY": "a-secret-for-tests-only-0123456789abcdef",
            "DATA_DIR": str(host),
            "DATABASE_URL": self.database,
            "REDIS_URL": self.redis.url,
            "BROKER_URL": self.redis.broker_url,
            "BCRYPT_LOG_ROUNDS": "4",
            "WRITES_PER_MINUTE": "1000000",
            "ACCESS_TOKEN_MINUTES": str(int(60 * HOURS)),
            "LOG_LEVEL": "ERROR",
            "PYTHONUNBUFFERED": "1",
            "CACHE_MODE": "leased" if self.is_leased else "direct",
            "CACHE_HOSTS": "one" if self.is_alone else "many",
            "HAMMER_BOARD": str(self.folder / "board"),
            "GRANIAN_RESPAWN_INTERVAL": "0.5",
        }

    def _server(self, host: Path, workers: int) -> WebServer:
        return WebServer(self._environ(host), workers, 4, "tests.caching.hammer.unprotected:create_app")


@contextlib.contextmanager
def world(name: str, workers: int = 2) -> Iterator[World]:
    """A world, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="bs-hammer-", dir=MEMORY))
    (folder / "redis").mkdir()
    made = None
    try:
        made = World(name, folder, workers)
        yield made
    finally:
        if made:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
