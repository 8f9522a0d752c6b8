"""The outermost WSGI layer, for every request alike: bounds, request id, CORS, security headers, the log line."""

from __future__ import annotations

import io
import itertools
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from operator import length_hint
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.sansio.utils import host_is_trusted

from app import logs, metrics
from app.caching.warming import SETTLED
from app.errors import Malformed, Problem, TooLarge, Unavailable, UnsupportedMediaType
from app.routes.problems import REQUEST_ID, render

log = logging.getLogger("broadsheet.access")
Start = Callable[..., Callable[[bytes], object]]
SAFE = ("GET", "HEAD", "OPTIONS")
LONGEST_TARGET = 4096  # bytes of path and query
LONGEST_HEADERS = 16_384  # bytes of all together
LONGEST_HEADER = 8192
MOST_HEADERS = 100
MOST_HOSTS = 1000  # spellings that are known to be good: names with ports
MOST_NAMES, LONGEST_NAME = 1000, 40  # the same of headers
FAR_OVER = 4  # times the limit: a body up to here is read to its end, or its sender would meet a reset, not the answer
THREADS_NEVER_READING = 2  # of each process: there is no way to stop a read() of a body that never comes
PATIENCE_SECONDS = 1.0
OUR_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
EXPOSED = (
    "Age, Cache-Status, Deprecation, ETag, Idempotency-Replayed, Last-Modified, Link, Location, RateLimit, "
    "RateLimit-Policy, Retry-After, Sunset, WWW-Authenticate, X-Request-ID, X-Total-Count"
)
ALWAYS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]
SECURE = [*ALWAYS, ("Strict-Transport-Security", "max-age=31536000")]
NOTHING = "default-src 'none'; frame-ancestors 'none'"
DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Refused(Problem):
    """A request beyond a bound of the edge."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, code=code)
        self.status = status


class Edge:
    """Wraps the app. `config` is the app's; `settle()` waits until what is committed shows everywhere."""

    def __init__(self, app: WSGIApplication, config: dict[str, Any], settle: Callable[[], None]) -> None:
        self._app, self._settle = app, settle
        self._config = config
        origins = config["CORS_ORIGINS"]
        self._sharing = [("Cross-Origin-Resource-Policy", "cross-origin" if origins else "same-origin")]
        self._sharing += [("Vary", "Origin")] if origins not in ([], ["*"]) else []
        self._tails: dict[tuple[bool, bool, str | None], list[tuple[str, str]]] = {}
        self._known_hosts: set[str] = set()
        self._known_names: set[str] = set()
        self._process, self._requests = uuid.uuid4().hex[:16], itertools.count(1)
        self._reading = threading.BoundedSemaphore(max(1, config["THREADS"] - THREADS_NEVER_READING))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        began = time.perf_counter()
        environ[REQUEST_ID] = self._identified(environ)
        about = logs.request_id.set(environ[REQUEST_ID])

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            self.note(environ, status, time.perf_counter() - began)
            return start_response(status, [*headers, *self.always(environ)], *rest)

        try:
            self._check(environ)
            if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
                start("204 No Content", self._preflight(environ))
                return []
            return self._app(environ, start if environ["REQUEST_METHOD"] in SAFE else self._settled(environ, start))
        except Problem as problem:
            response = render(problem, environ.get("PATH_INFO", ""), environ[REQUEST_ID])
            return response(environ, start)
        finally:
            logs.request_id.reset(about)

    def admits(self, environ: WSGIEnvironment) -> bool:
        """Whether a request without a body is within the bounds, and for a host of ours, at first sight."""
        return (
            environ.get("HTTP_HOST") in self._known_hosts
            and self._known_names.issuperset(environ)
            and sum(map(length_hint, environ.values())) <= LONGEST_TARGET
        )

    def always(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        """The headers of every answer to it."""
        docs = environ["PATH_INFO"].startswith(("/api/docs", "/swaggerui"))
        origin = self._allowed_origin(environ) if "HTTP_ORIGIN" in environ else None
        kind = (docs, environ.get("wsgi.url_scheme") == "https", origin)
        tail = self._tails.get(kind)
        if tail is None:
            tail = self._tails[kind] = self._tail(*kind)
        if REQUEST_ID not in environ:
            environ[REQUEST_ID] = self._identified(environ)
        return [("X-Request-ID", environ[REQUEST_ID]), *tail]

    def _identified(self, environ: WSGIEnvironment) -> str:
        given = environ.get("HTTP_X_REQUEST_ID")
        if given and OUR_REQUEST_ID.fullmatch(given):
            return str(given)
        return f"{self._process}{next(self._requests):016x}"

    def _settled(self, environ: WSGIEnvironment, start: Start) -> Start:
        """Each answer that may tell of a write waits: also a repeated one, and one that says that nothing was done."""

        def start_settled(*answer: Any) -> Callable[[bytes], object]:
            if SETTLED not in environ:
                self._settle()
            return start(*answer)

        return start_settled

    def _check(self, environ: WSGIEnvironment) -> None:
        """Refuse what is beyond the bounds (HARDENING F10, F16, F17), and read the body: its length is known."""
        if not self.admits(environ):
            self._check_bounds(environ)
            environ["HTTP_HOST"] = self._checked(environ.get("HTTP_HOST", ""))  # Flask compares it once more, as it is
        if environ["REQUEST_METHOD"] not in SAFE:
            self._read_body(environ)

    def _check_bounds(self, environ: WSGIEnvironment) -> None:
        """Look closely, where all that was said together is more than the least of the bounds."""
        headers = [(k, v) for k, v in environ.items() if k.startswith(("HTTP_", "CONTENT_")) and isinstance(v, str)]
        if len(environ.get("PATH_INFO", "")) + len(environ.get("QUERY_STRING", "")) > LONGEST_TARGET:
            raise Refused(414, "uri_too_long", "The address is too long")
        if len(headers) > MOST_HEADERS or sum(len(k) + len(v) for k, v in headers) > LONGEST_HEADERS:
            raise Refused(431, "headers_too_large", "The headers are too large")
        if any(len(v) > LONGEST_HEADER for _, v in headers):
            raise Refused(431, "headers_too_large", "A header is too large")
        if len(self._known_names) < MOST_NAMES:
            self._known_names.update(name for name in environ if len(name) <= LONGEST_NAME)

    def _checked(self, host: str) -> str:
        """The host in lower case, if it is one of ours."""
        lower = host.lower()
        if not HOST.fullmatch(host) or not host_is_trusted(lower, self._config["TRUSTED_HOSTS"]):
            raise Malformed("This host is not answered for", code="untrusted_host")
        if host == lower and len(self._known_hosts) < MOST_HOSTS:
            self._known_hosts.add(host)
        return lower

    def _read_body(self, environ: WSGIEnvironment) -> None:
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() not in ("", "identity"):
            raise UnsupportedMediaType("Content-Encoding is not supported in requests")
        if environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
            raise Refused(501, "not_implemented", "No Transfer-Encoding but chunked is supported")
        most, given = (self._config["MAX_BODY_BYTES"], environ.get("CONTENT_LENGTH") or "")
        if given and not (given.isascii() and given.isdigit()):
            raise Malformed("Content-Length must be a number")
        length = int(given.lstrip("0")[:19] or "0") if given else None
        if length is not None and length > FAR_OVER * most:
            raise TooLarge(f"The body may have {most} bytes at most")
        # Without a length (chunked) Werkzeug would cut the body at its limit and parse the rest as if it were whole.
        data = self._take(environ, FAR_OVER * most if length is None else length)
        if len(data) > most:
            raise TooLarge(f"The body may have {most} bytes at most")
        if length is not None and len(data) < length:
            raise Malformed("The body is shorter than its Content-Length")
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = (io.BytesIO(data), str(len(data)))
        environ.pop("HTTP_TRANSFER_ENCODING", None)

    def _take(self, environ: WSGIEnvironment, most: int) -> bytes:
        """Read a body, while some threads of this process stay free of that."""
        if not self._reading.acquire(timeout=PATIENCE_SECONDS):
            raise Unavailable("Too many bodies are on their way")
        try:
            data: bytes = environ["wsgi.input"].read(most)
            return data
        finally:
            self._reading.release()

    def _tail(self, docs: bool, secure: bool, origin: str | None) -> list[tuple[str, str]]:
        """The same for all such answers."""
        policy = ("Content-Security-Policy", DOCS if docs else NOTHING)
        headers = [policy, *(SECURE if secure else ALWAYS), *self._sharing]
        if origin:
            headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
        return headers

    def _allowed_origin(self, environ: WSGIEnvironment) -> str | None:
        origin, allowed = environ.get("HTTP_ORIGIN"), self._config["CORS_ORIGINS"]
        if origin is None or not allowed:
            return None
        return "*" if "*" in allowed else origin if origin in allowed else None

    def _preflight(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        if not self._allowed_origin(environ):
            return []
        return [
            ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            (
                "Access-Control-Allow-Headers",
                "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-ID",
            ),
            ("Access-Control-Max-Age", "600"),
        ]

    def note(self, environ: WSGIEnvironment, status: str, seconds: float) -> None:
        """Log and count an answer."""
        metrics.count(environ, status, seconds)
        if log.isEnabledFor(logging.INFO):
            self._log(environ, status, seconds)

    def note_hit(self, environ: WSGIEnvironment, route: str, status: str, began: float) -> None:
        """Log and count an answer of the front's, begun that many seconds after the epoch."""
        metrics.hits.count(environ["REQUEST_METHOD"], route, status[:3])
        if log.isEnabledFor(logging.INFO):
            environ[metrics.OUTCOME] = metrics.NEAR
            self._log(environ, status, time.time() - began)

    def _log(self, environ: WSGIEnvironment, status: str, seconds: float) -> None:
        said = {
            "method": environ["REQUEST_METHOD"][:16],
            "path": quote(environ.get("PATH_INFO", ""), safe="/:"),  # CR and LF too: one request, one line
            "status": int(status[:3]),
            "milliseconds": round(seconds * 1000, 1),
            "cache": environ.get(metrics.OUTCOME, "-"),
        }
        about = logs.request_id.set(environ[REQUEST_ID])
        log.info("%s %s %s %sms %s", *said.values(), extra={"fields": said})
        logs.request_id.reset(about)
