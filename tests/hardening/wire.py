"""Requests byte by byte, for what no client library would send."""

from __future__ import annotations

import contextlib
import http.client
import socket
from dataclasses import dataclass
from typing import Any

import orjson

from tests.servers import WebServer

LONGEST_WAIT_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    """What came back, named as the test client names it."""

    status_code: int
    headers: http.client.HTTPMessage
    data: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)


def connected(server: WebServer) -> socket.socket:
    """A connection; nothing on it takes longer than 10 seconds."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=LONGEST_WAIT_SECONDS)


def received(connection: socket.socket) -> Answer:
    """The next answer. A server that closes without one raises `http.client.RemoteDisconnected`."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def exchange(server: WebServer, request: bytes, *, half_close: bool = False) -> Answer:
    """Send the bytes, whether or not they are wanted to the end, and take the answer."""
    with connected(server) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return received(connection)


def request(line: str, *headers: str | bytes, body: bytes = b"") -> bytes:
    """A request from its parts; nothing is added."""
    lines = [line.encode(), *(h.encode() if isinstance(h, str) else h for h in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
