"""One flight a key and host: among threads (see test_cost.py) and among the processes of a host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from app.caching.flight import Runway
from tests.servers import Redis, WebServer, wait_for


@pytest.fixture
def slow(environ, app, make_post, make_user):
    """A server of three processes, slow to read posts, with a Redis of its own."""
    make_post(make_user())
    with (
        Redis() as redis,
        WebServer(environ | {"REDIS_URL": redis.url}, workers=3, factory="tests.caching.slow:create_app") as server,
    ):
        yield server, redis


def herd(server, path, number=24):
    """Each on a connection of its own: how often the cache said what."""

    def ask(_):
        answer = requests.get(f"{server.url}{path}", timeout=20)
        assert answer.status_code == 200
        return answer.headers["Cache-Status"].removeprefix("broadsheet; ").partition("; ttl")[0]

    with ThreadPoolExecutor(number) as pool:
        return Counter(pool.map(ask, range(number)))


def test_one_process_computes_and_the_others_find_it_in_the_far_cache(slow):
    server, _ = slow
    for page in range(1, 4):
        said = herd(server, f"/api/v1/posts?page={page}")
        assert said["fwd=uri-miss; stored"] == 1, said
        assert said["fwd=uri-miss; collapsed"] > 0


def test_without_redis_nobody_waits_for_what_he_could_not_find(slow):
    """Each process computes, at the same time."""
    server, redis = slow
    os.kill(redis.pid, signal.SIGKILL)
    herd(server, "/api/v1/posts?page=7")  # finds out
    said = herd(server, "/api/v1/posts?page=8")
    assert 1 <= said["fwd=uri-miss; stored"] <= 3, said


HOLD = """
import sys, time
from pathlib import Path
from app.caching.flight import Runway
with Runway(Path(sys.argv[1])).alone("key"):
    print("flies", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that flies for "key", and does not come down."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "f")], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"flies\n"
        yield process
        process.kill()


def test_who_is_killed_in_flight_leaves_the_runway(tmp_path, holder):
    with ThreadPoolExecutor(1) as pool:

        def fly():
            with Runway(tmp_path / "f").alone("key") as waited:
                return waited

        flight = pool.submit(fly)
        wait_for(flight.running)
        assert not flight.done()
        holder.kill()
        assert flight.result(5) is True


def test_another_key_flies_at_once(tmp_path, holder):
    with Runway(tmp_path / "f").alone("another key") as waited:
        assert waited is False


def test_nobody_waits_for_ever(tmp_path, holder, monkeypatch):
    monkeypatch.setattr("app.caching.flight.LONGEST_WAIT_SECONDS", 0.2)
    with Runway(tmp_path / "f").alone("key") as waited:
        assert waited is True
    assert holder.poll() is None


def test_where_there_is_no_file_everybody_flies(tmp_path):
    (tmp_path / "file").write_text("")
    with Runway(tmp_path / "file" / "f").alone("key") as waited:
        assert waited is False
