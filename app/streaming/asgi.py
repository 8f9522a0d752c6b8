"""The stream over HTTP (WHATWG server-sent events), as an ASGI application.

Whether it begins, and all that is refused, is decided by WSGI: the same edge, guard and problems as the API's.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import signal
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from app import create_app, metrics, tokens
from app.edge import Edge
from app.errors import FieldError, Invalid, NotFound
from app.routes import problems
from app.routes.v2 import guards
from app.schemas.base import BIGGEST_ID
from app.services import arrivals
from app.streaming.watch import Stream, Watch

PATH = "/api/v2/notifications/stream"
HEARTBEAT_SECONDS = 15.0
SLOW_SECONDS = 30.0  # a client that takes nothing for so long is gone
RETRY = b"retry: 3000\n\n"  # milliseconds
OPENED_AT_ONCE = 4  # threads: those that come back after a restart must not hold up those that are here
HEADERS = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
STREAM = "broadsheet.stream"  # the environ's key
OF_THE_BODY = ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")
LAST_ID = re.compile(r"[0-9]{1,19}", re.ASCII)

log = logging.getLogger(__name__)
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Streaming:
    """The ASGI application."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._watch = Watch(app, app.config["STREAMS_PER_USER"])
        edge = Edge(self._admit, app.config, app.extensions["coherence"].settle)
        proxies = app.config["TRUSTED_PROXIES"]
        self._front = cast(WSGIApplication, ProxyFix(edge, x_for=proxies, x_proto=proxies)) if proxies else edge
        self._threads = ThreadPoolExecutor(OPENED_AT_ONCE, "open")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one client, or the process's life."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        environ, loop = _environ(scope), asyncio.get_running_loop()
        status, headers, body = await loop.run_in_executor(self._threads, self._answer, environ)
        stream: Stream | None = environ.get(STREAM)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        try:
            await send({"type": "http.response.start", "status": int(status[:3]), "headers": raw})
            if stream and not await self._run(stream, receive, send):
                return None
            await send({"type": "http.response.body", "body": body})
        finally:
            if stream:
                self._watch.drop(stream)
                log.info("a stream of user %s ends: %s", stream.user_id, stream.over)
        return None

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the server's start to its end. It ends when no client is left, so at a signal all streams do."""
        loop = asyncio.get_running_loop()
        self._watch.start(loop)
        for number in (signal.SIGTERM, signal.SIGINT):  # beside what the server does then, which the loop is told of
            with suppress(ValueError):  # not the main thread: somebody else serves us
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._watch.end_all))
                signal.siginterrupt(number, False)
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def _run(self, stream: Stream, receive: Receive, send: Send) -> bool:
        """Send what is told, and a heartbeat where that is nothing, until it is over; whether its client takes that."""
        listening = asyncio.create_task(_until_gone(stream, receive))
        piece = RETRY
        try:
            while not stream.over:
                async with asyncio.timeout(SLOW_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                if not stream.waiting and not stream.over:
                    stream.stirred.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stream.stirred.wait(), HEARTBEAT_SECONDS)
                piece = b"".join([stream.waiting.popleft() for _ in range(len(stream.waiting))]) or b": \n\n"
        except TimeoutError:
            stream.end("its client takes nothing")
            return False
        else:
            return True
        finally:
            listening.cancel()

    def _answer(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        """What WSGI answers: status, headers and body."""
        said: list[Any] = []
        body = b"".join(self._front(environ, lambda *start: said.extend(start)))  # type: ignore[arg-type,return-value]
        return said[0], said[1], body

    def _admit(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application behind the edge: refuse, or begin a stream."""
        with self._app.request_context(environ) as context:
            try:
                stream = _asked_for(context.request)
                self._watch.add(stream)
            except Exception as error:
                return problems.handle(error)(environ, start_response)
        environ[STREAM] = stream
        start_response("200 OK", HEADERS)
        return []


def create() -> Streaming:
    """The ASGI application with an app of its own (granian's `--factory`)."""
    return Streaming(create_app())


def _asked_for(asked: Request) -> Stream:
    """The stream that may begin; in the request's context."""
    if asked.path != PATH:
        raise NotFound
    asked.environ[metrics.ROUTE] = PATH
    if asked.method != "GET":
        raise MethodNotAllowed(["GET"])
    principal = guards.authenticate()
    token = tokens.read(asked.headers["Authorization"].split()[-1], ["v2"])
    told = arrivals.told_before(principal.user_id, _last_id(asked))
    return Stream(principal.user_id, principal.session_id, token.expires_at + tokens.LEEWAY.total_seconds(), told)


async def _until_gone(stream: Stream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end("its client is gone")


def _last_id(asked: Request) -> int | None:
    """Where the client was cut off.

    :raises Invalid: it is no id.
    """
    field = "Last-Event-ID" if "Last-Event-ID" in asked.headers else "last_event_id"
    given = asked.headers.get(field) or asked.args.get(field, "")
    if given and (not LAST_ID.fullmatch(given) or int(given) > BIGGEST_ID):
        raise Invalid(errors=(FieldError(field, "invalid", "Must be the id of an event"),))
    return int(given) if given else None


def _environ(scope: Message) -> WSGIEnvironment:
    """The request as WSGI has it (PEP 3333), without its body, which nobody wants."""
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
    }
    for name, value in scope["headers"]:
        key, text = "HTTP_" + name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        if key not in OF_THE_BODY:
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
