"""A program of somebody else's that webhooks call: it answers what a test has told it to, and keeps what it got."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

WEBHOOKS = "/api/v2/webhooks"
OWN = ["post.published", "post.deleted", "user.followed"]


@dataclass
class Got:
    """A call, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Target(ThreadingHTTPServer):
    """`calls` are in their order. `behave(handler)` writes the answer; by default 200 and «ok».

    `hang()` makes it answer nothing until it is stopped, `answer(500, 200)` these statuses in turn, the last for ever.
    """

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.calls: list[Got] = []
        self.stopped = threading.Event()
        self.behave: Callable[[Any], None] = lambda handler: handler.reply(200)
        self.port = self.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, *statuses: int, headers: dict[str, str] | None = None, text: bytes = b"ok") -> None:
        left = list(statuses)
        self.behave = lambda handler: handler.reply(left.pop(0) if len(left) > 1 else left[0], headers or {}, text)

    def hang(self) -> None:
        self.behave = lambda handler: self.stopped.wait(120)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are what some tests are about."""

    def __enter__(self) -> Target:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.server.behave(self)

    def do_GET(self) -> None:  # nobody should follow a redirect to here
        self.server.calls.append(Got(self.path, {}, b"GET"))

    def reply(self, status: int, headers: dict[str, str] | None = None, text: bytes = b"ok") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what is wrong."""


def make(client: Any, target: Target, events: Any = OWN, **more: Any) -> Any:
    """Make a webhook that calls the target; what was answered."""
    made = client.post(WEBHOOKS, json={"url": target.url, "events": events} | more)
    assert made.status_code == 201, made.text
    return made.json


def pinged(client: Any, hook: Any) -> None:
    """Have a webhook sent the event `ping`."""
    assert client.post(f"{WEBHOOKS}/{hook['id']}/ping").status_code == 202
