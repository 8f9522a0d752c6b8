"""A kept-alive connection that costs its process little, and who we are to an application."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import orjson

NAME, PASSWORD = "alice", "correct horse battery"


class Connection:
    """HTTP/1.1 as far as our own servers speak it: every answer has its length."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self._port, self._timeout = port, timeout
        self._socket: socket.socket | None = None

    def ask(self, method: str, path: str, data: Any = None, token: str = "") -> tuple[int, bytes]:
        """Status and body; OSError where there is no answer, and the next call connects anew."""
        try:
            return self._ask(method, path, b"" if data is None else orjson.dumps(data), token)
        except (OSError, ValueError):
            self.close()
            raise OSError("no answer") from None

    def _ask(self, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        head, _, got = self._receive_head(self._socket).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(got) < length:
            got += self._more(self._socket)
        return int(head[9:12]), got

    def _receive_head(self, connection: socket.socket) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more(connection)
        return got

    def _more(self, connection: socket.socket) -> bytes:
        got = connection.recv(65536)
        if not got:
            raise OSError("closed")
        return got

    def close(self) -> None:
        """The next question opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def answer(port: int, path: str, headers: dict[str, str]) -> HTTPResponse:
    """What a GET is answered with, headers and all."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse()
    found.read()
    connection.close()
    return found


def logged_in(port: int) -> tuple[int, str]:
    """Register, unless that was done, and log in through the API: our id and token."""
    connection = Connection(port)
    account = {"username": NAME, "password": PASSWORD}
    status, body = connection.ask("POST", "/api/v1/users", account)
    user_id = orjson.loads(body)["id"] if status == 201 else 1
    status, body = connection.ask("POST", "/api/v1/users/login", account)
    connection.close()
    if status != 200:
        raise RuntimeError(f"no login: {status} {body!r}")
    return user_id, orjson.loads(body)["token"]
