"""What depends on the server: framing, hosts, bounds, byte by byte (HARDENING F10–F17, F20), on two granian processes.

What it refuses itself it refuses without a body: those rows say `bare`. Framing that it lets pass (a bare LF, a length
beside `chunked`) is nginx's to refuse.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from app.edge import THREADS_NEVER_READING
from tests.hardening.answers import assert_refused, nothing_written
from tests.hardening.wire import Answer, chunked, connected, exchange, request
from tests.servers import WebServer, wait_for

LIMIT = 1_048_576
PATH = "/api/v1/posts"
GET, POST = f"GET {PATH} HTTP/1.1", f"POST {PATH} HTTP/1.1"
HOST, JSON = "Host: localhost", "Content-Type: application/json"
GOOD = json.dumps({"title": "On the wire", "content": "Words"}).encode()
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture
def author(make_user, token_of) -> str:
    """The header of who may write."""
    return f"Authorization: Bearer {token_of(make_user())}"


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


def framed(*headers: str | bytes, body: bytes) -> tuple[tuple[str | bytes, ...], bytes]:
    return headers, body


GOOD_BODIES = {
    "length": framed(JSON, length(GOOD), body=GOOD),
    "chunked": framed(JSON, CHUNKED, body=chunked(GOOD[:9], GOOD[9:])),
    "chunked, at the limit": framed(JSON, CHUNKED, body=chunked(GOOD.ljust(LIMIT))),
    "length with zeros": framed(JSON, f"Content-Length: 000{len(GOOD)}", body=GOOD),
    "expected": framed(JSON, "Expect: 100-continue", length(GOOD), body=GOOD),
}
BODIES = {
    "chunked, one over": (413, framed(JSON, CHUNKED, body=chunked(GOOD.ljust(LIMIT + 1)))),
    "chunked, far over": (413, framed(JSON, CHUNKED, body=chunked(*[b"x" * 65536] * 100))),
    "chunked, good JSON and padding": (413, framed(JSON, CHUNKED, body=chunked(GOOD, *[b" " * 65536] * 80))),
    "length, one over": (413, framed(JSON, f"Content-Length: {LIMIT + 1}", body=GOOD.ljust(LIMIT + 1))),
    "length, over": (413, framed(JSON, f"Content-Length: {3 * LIMIT}", body=GOOD.ljust(3 * LIMIT))),
    "length, far over and never sent": (413, framed(JSON, "Content-Length: 5000000000", body=b"")),
    "length behind zeros": (413, framed(JSON, f"Content-Length: {'0' * 30}{5 * LIMIT}", body=b"")),
    "length of 63 bits": (413, framed(JSON, f"Content-Length: {2**63 - 1}", body=b"")),
    "gzip": (415, framed(JSON, "Content-Encoding: gzip", length(gzip.compress(GOOD)), body=gzip.compress(GOOD))),
    "gzip bomb": (415, framed(JSON, "Content-Encoding: gzip", CHUNKED, body=chunked(gzip.compress(b" " * 10**7)))),
    "gzip as a transfer coding": (501, framed(JSON, "Transfer-Encoding: gzip, chunked", body=chunked(GOOD))),
    "UTF-16": (400, framed(JSON, length(GOOD.decode().encode("utf-16")), body=GOOD.decode().encode("utf-16"))),
    "UTF-16, said": (415, framed(f"{JSON}; charset=utf-16", length(GOOD), body=GOOD)),
    "no type": (415, framed(length(GOOD), body=GOOD)),
    "two types": (415, framed("Content-Type: text/plain", JSON, length(GOOD), body=GOOD)),
    "nothing": (400, framed(JSON, body=b"")),
    "chunked nothing": (400, framed(JSON, CHUNKED, body=chunked())),
    "bad chunk": (400, framed(JSON, CHUNKED, body=b"ZZ\r\n{}\r\n0\r\n\r\n")),
    "bad second chunk": (400, framed(JSON, CHUNKED, body=b"9\r\n" + GOOD[:9] + b"\r\n-5\r\nxxxxx\r\n0\r\n\r\n")),
    "huge chunk": (400, framed(JSON, CHUNKED, body=b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
}
BARE_BODIES = {
    "two lengths": framed(JSON, length(GOOD), f"Content-Length: {len(GOOD) + 1}", body=GOOD),
    "two lengths in one": framed(JSON, f"Content-Length: {len(GOOD)}, {len(GOOD)}", body=GOOD),
    "+length": framed(JSON, f"Content-Length: +{len(GOOD)}", body=GOOD),
    "length_": framed(JSON, "Content-Length: 4_0", body=GOOD),
    "-length": framed(JSON, "Content-Length: -1", body=GOOD),
    "hex length": framed(JSON, "Content-Length: 0x20", body=GOOD),
    "length beyond 64 bits": framed(JSON, f"Content-Length: {10**22}", body=GOOD),
    "another coding": framed(JSON, "Transfer-Encoding: xchunked", body=chunked(GOOD)),
    "chunked not last": framed(JSON, "Transfer-Encoding: chunked, identity", body=chunked(GOOD)),
    "space before colon": framed(JSON, "Transfer-Encoding : chunked", body=chunked(GOOD)),
    "folded line": framed(JSON, "X-Folded: a\r\n b", length(GOOD), body=GOOD),
    "NUL in a header": framed(JSON, b"X-Nul: a\x00b", length(GOOD), body=GOOD),
    "CR in a header": framed(JSON, b"X-Cr: a\rb", length(GOOD), body=GOOD),
}


@pytest.mark.parametrize("name", GOOD_BODIES)
def test_what_these_tests_send_is_good_until_they_spoil_it(name, server, author):
    headers, body = GOOD_BODIES[name]
    answer = exchange(server, request(POST, HOST, author, *headers, body=body))
    assert answer.status_code == 201, answer.data


def test_f10_f11_f14_a_body_beyond_the_bounds_is_refused(server, author, sql, subtests):
    for name, (status, (headers, body)) in BODIES.items():
        with subtests.test(name), nothing_written(sql):
            assert_refused(exchange(server, request(POST, HOST, author, *headers, body=body)), PATH, status)


def test_f14_framing_in_doubt_is_refused_by_the_server(server, author, sql, subtests):
    for name, (headers, body) in BARE_BODIES.items():
        with subtests.test(name), nothing_written(sql):
            assert_bare(exchange(server, request(POST, HOST, author, *headers, body=body)), 400)


def assert_bare(answer: Answer, status: int) -> None:
    """The server's own refusal: no body, so nothing that could be said too much."""
    assert (answer.status_code, answer.data) == (status, b"")
    assert answer.headers["Connection"] == "close"


def test_f13_a_body_that_ends_early_is_not_taken(server, author, sql, subtests):
    """The second one is good JSON as far as it came."""
    for name, headers, body in (
        ("cut", (f"Content-Length: {len(GOOD)}",), GOOD[:-5]),
        ("padding cut", (f"Content-Length: {len(GOOD) + 5}",), GOOD),
        ("chunks cut", (CHUNKED,), b"%x\r\n%s" % (len(GOOD), GOOD[:-5])),
    ):
        sent = request(POST, HOST, author, JSON, *headers, body=body)
        with subtests.test(name), nothing_written(sql):
            assert_refused(exchange(server, sent, half_close=True), PATH, 400)
            with connected(server) as gone:
                gone.sendall(sent)
            assert exchange(server, request(GET, HOST)).status_code == 200


BOUNDS = {
    "an address of 5 KB": (414, request(f"GET {PATH}?category={'x' * 5000} HTTP/1.1", HOST)),
    "a path of 5 KB": (414, request(f"GET {PATH}/{'x' * 5000} HTTP/1.1", HOST)),
    "a header of 10 KB": (431, request(GET, HOST, f"X-Long: {'x' * 10_000}")),
    "headers of 17 KB": (431, request(GET, HOST, *(f"X-Long-{n}: {'x' * 850}" for n in range(20)))),
    "a name of 9 KB": (431, request(GET, HOST, f"X-{'n' * 17_000}: x")),
    "a type of 9 KB": (431, request(POST, HOST, f"{JSON}; x={'x' * 9000}", length(GOOD), body=GOOD)),
}
BARE_BOUNDS = {
    "an address of 70 KB": (414, request(f"GET /{'x' * 70_000} HTTP/1.1", HOST)),
    "101 headers": (431, request(GET, HOST, *(f"X-{n}: x" for n in range(100)))),
    "headers of 2 MB": (431, request(GET, HOST, *(f"X-Long-{n}: {'x' * 100_000}" for n in range(20)))),
}


def test_f17_addresses_and_headers_are_bounded(server, subtests):
    for name, (status, sent) in BOUNDS.items():
        with subtests.test(name):
            assert_refused(exchange(server, sent), PATH, status)
    for name, (status, sent) in BARE_BOUNDS.items():
        with subtests.test(name):
            assert_bare(exchange(server, sent), status)


ABSOLUTE = f"GET http://evil.example{PATH} HTTP/1.1"
NO_HOSTS = {
    "none": request(GET),
    "none, HTTP/1.0": request(GET.replace("1.1", "1.0")),
    "empty": request(GET, "Host:"),
    "unlisted": request(GET, "Host: evil.example"),
    "listed as a prefix": request(GET, "Host: localhost.evil.example"),
    "listed as a suffix": request(GET, "Host: evil.localhost"),
    "two": request(GET, HOST, "Host: evil.example"),
    "two alike": request(GET, HOST, HOST),
    "list": request(GET, "Host: localhost, evil.example"),
    "path": request(GET, "Host: a/b?c@d"),
    "user": request(GET, "Host: localhost@evil.example"),
    "user of ours": request(GET, "Host: evil.example@localhost"),
    "space": request(GET, "Host: localhost evil.example"),
    "port of letters": request(GET, "Host: localhost:http"),
    "port too high": request(GET, "Host: localhost:99999"),
    "no port": request(GET, "Host: localhost:"),
    "two ports": request(GET, "Host: localhost:80:80"),
    "latin": request(GET, b"Host: localhost\xe9"),
    "script": request(GET, "Host: <script>"),
    "final dot": request(GET, "Host: localhost."),
    "absolute form alone": request(ABSOLUTE),
}
HOSTS = {
    "name": request(GET, HOST),
    "port": request(GET, "Host: localhost:8080"),
    "upper case": request(GET, "Host: LocalHost:5000"),
    "address": request(GET, "Host: 127.0.0.1"),
    "absolute form of ours": request(ABSOLUTE.replace("evil.example", "localhost")),
    "absolute form beside ours": request(ABSOLUTE, HOST),
}


def test_f16_only_our_hosts_are_answered_for(server, subtests):
    for name, sent in NO_HOSTS.items():
        with subtests.test(name):
            assert_refused(exchange(server, sent), PATH, 400)


def test_f16_no_spelling_of_our_host_changes_the_answer(server, make_user, make_post):
    """granian hands the address of an absolute form over without its host: at least nothing repeats it."""
    author = make_user()
    for _ in range(3):
        make_post(author)
    answers = [exchange(server, sent.replace(PATH.encode(), f"{PATH}?per_page=1".encode())) for sent in HOSTS.values()]
    assert len({answer.data for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["Link"] for answer in answers}) == 1
    assert not [answer for answer in answers if "evil" in f"{answer.headers}"]


def test_f20_a_request_id_is_ours_unless_it_is_plain(server, subtests):
    for given, kept in (
        ("abc-DEF_1.2", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ('"><script>', False),
    ):
        with subtests.test(given):
            answer = exchange(server, request(GET, HOST, f"X-Request-ID: {given}"))
            assert (answer.headers["X-Request-ID"] == given) == kept
            assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["X-Request-ID"])
    answer = exchange(server, request(GET, HOST, "X-Request-ID: one", "X-Request-ID: two"))
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
    for broken in (b"a\rSet-Cookie: x=1", b"a\r\n Set-Cookie: x=1", b"a\x00b"):
        assert_bare(exchange(server, request(GET, HOST, b"X-Request-ID: " + broken)), 400)


def test_f20_one_request_is_one_line_of_the_log(server):
    forged = "12:00:00.000 INFO broadsheet.access: GET /forged 200"
    quoted = forged.replace(" ", "%20")
    for path in (f"/api/%0d%0a{quoted}", f"/api/%0a{quoted}", f"/api/%c2%85{quoted}", f"/api/%1b[31m{quoted}"):
        answer = exchange(server, request(f"GET {path} HTTP/1.1", HOST))
        assert_refused(answer, path, 404)
        id = answer.headers["X-Request-ID"]
        wait_for(lambda id=id: id in server.output)
        [line] = [line for line in server.output.splitlines() if id in line]
        assert not line.startswith("12:00:00.000")
        assert "%0A" in line or "%C2%85" in line or "%1B" in line
    assert not [line for line in server.output.splitlines() if line.startswith(forged[:22])]


@pytest.mark.parametrize("method", ["get", "FOO", "TRACE", "PATCH", "G-E_T!", "X" * 300])
def test_f21_an_odd_method_is_not_allowed_or_means_what_it_says(method, server):
    answer = exchange(server, request(f"{method} {PATH} HTTP/1.1", HOST))
    if method == "get":
        assert answer.status_code == HTTPStatus.OK
    else:
        assert_refused(answer, PATH, 405)
        assert "GET" in answer.headers["Allow"]


def test_f21_a_target_that_is_no_path_is_not_found(server):
    assert_refused(exchange(server, request("OPTIONS * HTTP/1.1", HOST)), "*", 404)
    assert_refused(exchange(server, request("GET //evil.example/api/v1/posts HTTP/1.1", HOST)), "//evil", 404)


def test_requests_on_one_connection_are_answered_in_order(server):
    """Also when a write is refused, its body with it, and when an answer has no body."""
    sent = request(POST, HOST, JSON, length(GOOD), body=GOOD) + request(POST, HOST, JSON, CHUNKED, body=chunked(GOOD))
    sent += request(GET.replace("GET", "HEAD"), HOST) + request(GET, HOST, "Connection: close")
    with connected(server) as connection:
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"401", b"401", b"200", b"200"]


@pytest.fixture
def one_process(environ, app) -> Iterator[WebServer]:
    """A server of one process with few threads."""
    with WebServer(environ | {"THREADS": "4"}, workers=1, threads=4) as server:
        yield server


def test_f13_bodies_that_never_come_stop_no_reader(one_process, author, sql):
    """A read() cannot be ended from within, so some threads never begin one; nginx ends it in production."""
    stalled = request(POST, HOST, author, JSON, "Content-Length: 100", body=b"{")
    waiting: list[socket.socket] = []
    with nothing_written(sql):
        for _ in range(4 + THREADS_NEVER_READING):
            waiting.append(connected(one_process))
            waiting[-1].sendall(stalled)
        time.sleep(0.3)
        began = time.monotonic()
        assert_refused(exchange(one_process, request(POST, HOST, author, JSON, length(GOOD), body=GOOD)), PATH, 503)
        assert exchange(one_process, request(GET, HOST)).status_code == 200
        assert time.monotonic() - began < 6
        for connection in waiting:
            connection.close()
    wait_for(lambda: exchange(one_process, request(GET, HOST)).status_code == 200)
    answer = exchange(one_process, request(POST, HOST, author, JSON, length(GOOD), body=GOOD))
    assert answer.status_code == 201


def test_no_request_carries_the_environment_of_the_process(environ):
    """granian would add it, secrets too, to what every handler, log and error report sees."""
    with WebServer(environ, factory="tests.hardening.told:create_app") as server:
        told = exchange(server, request(f"GET {PATH} HTTP/1.1", HOST)).headers["X-Environ"].split(",")
    assert "HTTP_HOST" in told
    assert not set(told) & set(os.environ | environ)
