"""CACHE.md, proof 4, in small: readers and writers of two server processes, versions that only grow.

Each reader notes which version has been answered for before it asks: what it gets must be that one or a later one.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers import WebServer

SECONDS = 3.0
LONGEST_SECONDS = 30.0  # where the machine is busy: until there are enough writes
ENOUGH = 20
READERS = 6


class Hammer:
    """One post whose title counts up."""

    def __init__(self, port, path, token):
        self._port, self._path, self._token = port, path, token
        self._began = time.monotonic()
        self.floor = 0
        self.reads = self.hits = self.stale = self.backwards = 0
        self._lock = threading.Lock()

    def goes_on(self):
        lasted = time.monotonic() - self._began
        return lasted < SECONDS or (self.floor <= ENOUGH and lasted < LONGEST_SECONDS)

    def write(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        version = 0
        while self.goes_on():
            version += 1
            connection.request("PUT", self._path, json.dumps({"title": str(version)}), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            self.floor = version
            time.sleep(0.005)
        connection.close()
        return version

    def read(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        last = reads = hits = stale = backwards = 0
        while self.goes_on():
            floor = self.floor
            connection.request("GET", path)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200
            post = body[0] if isinstance(body, list) else body["items"][0] if "items" in body else body
            seen = int(post["title"])
            reads += 1
            hits += "; hit;" in answer.headers["Cache-Status"]
            stale += seen < floor
            backwards += seen < last
            last = max(last, seen)
        connection.close()
        with self._lock:
            self.reads, self.hits = self.reads + reads, self.hits + hits
            self.stale, self.backwards = self.stale + stale, self.backwards + backwards


@pytest.fixture
def hammered(make_user, make_post, token_of):
    """hammered(server): the counts after SECONDS of reading and writing."""

    def run(server):
        alice = make_user()
        post = make_post(alice, title="0")
        path = f"/api/v1/posts/{post.id}"
        hammer = Hammer(server.port, path, token_of(alice))
        paths = [path, "/api/v1/posts", "/api/v2/posts?limit=1", f"/api/v2/posts/{post.id}"]
        with ThreadPoolExecutor(READERS + 1) as pool:
            writer = pool.submit(hammer.write)
            for reader in [pool.submit(hammer.read, paths[n % len(paths)]) for n in range(READERS)]:
                reader.result()
            versions = writer.result()
        print(f"{versions} writes, {hammer.reads} reads, {hammer.hits} hits, {hammer.stale} stale")
        assert versions > ENOUGH
        assert hammer.hits > 20
        return hammer

    return run


def test_no_reader_of_any_process_gets_an_answer_older_than_an_acknowledged_write(server, hammered):
    hammer = hammered(server)
    assert hammer.stale == 0
    assert hammer.backwards == 0


def test_the_hammer_finds_stale_answers_where_the_protection_is_off(app, environ, hammered):
    """The control: a hammer that finds nothing here would prove nothing there."""
    with WebServer(environ, factory="tests.caching.unprotected:create_app") as server:
        assert hammered(server).stale > 20
