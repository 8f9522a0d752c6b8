"""Calls to addresses that users name: only to the world outside, once resolved, and never for long (HARDENING I4)."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from flask import current_app

CONNECT_SECONDS = 2
SECONDS = 18  # of a call in all
LONGEST_ANSWER = 65_536
MOST_ADDRESSES = 4  # of one name that are tried
PORTS = {"http": 80, "https": 443}
UNICAST, NAT64 = IPv6Network("2000::/3"), IPv6Network("64:ff9b::/96")
Address = tuple[socket.AddressFamily, Any]


class Refused(OSError):
    """An address that we do not call."""


class Answer(NamedTuple):
    """What came back; `text` is its beginning, whatever it was, as text."""

    status: int
    text: str


class _Until(io.RawIOBase):
    """A socket's answer: each read has only the time that is left, so that nobody lasts longer by dripping bytes."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes, as they come.

        :raises TimeoutError: there is no time left.
        """
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)

    def makefile(self, *_: Any) -> io.BufferedReader:
        """What `HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)


def check(url: str) -> None:
    """See whether a call to this address would be let through. A name that nobody knows just now may be known later.

    :raises Refused: with the reason, for people.
    """
    with suppress(socket.gaierror, TimeoutError):
        _resolved(_parts(url), CONNECT_SECONDS)


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body; follow no redirect, use no proxy, hold no transaction open meanwhile.

    The name is resolved once, and the connection goes to an address that was judged: what the name means later does not
    matter. TLS wants the certificate of the name.

    :raises OSError: there was no answer within SECONDS (`Refused`: nobody was asked).
    """
    deadline = time.monotonic() + SECONDS
    parts = _parts(url)
    headers = {"Host": parts.netloc, "User-Agent": "Broadsheet-Webhooks", "Connection": "close"} | headers
    with _connected(parts, deadline) as sock:
        sock.settimeout(_left(deadline))
        try:
            connection = HTTPConnection(parts.netloc)
            connection.sock = sock
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            response = HTTPResponse(_Until(sock, deadline), method="POST")  # type: ignore[arg-type]
            response.begin()
        except HTTPException as error:
            raise ConnectionError(f"no HTTP: {error!r}") from error
        text = b""
        with suppress(OSError, HTTPException):  # the status has said it, whatever comes of the rest
            while len(text) < LONGEST_ANSWER and (part := response.read1(LONGEST_ANSWER - len(text))):
                text += part
        return Answer(response.status, text.decode("utf-8", "replace").replace("\0", ""))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("Is no address, or has no port that there is") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise Refused("Must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise Refused("Must hold no user and no password")
    if port is not None and port < 1024 and port not in PORTS.values():
        raise Refused("The port must be 80, 443, or 1024 and above")
    return parts


@contextmanager
def _connected(parts: SplitResult, deadline: float) -> Iterator[socket.socket]:
    error: OSError = Refused("The name has no address")
    for family, address in _resolved(parts, _left(deadline))[:MOST_ADDRESSES]:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(min(CONNECT_SECONDS, _left(deadline)))
            try:
                sock.connect(address)
            except OSError as refusal:
                error = refusal
                continue
            if parts.scheme == "http":
                yield sock
                return
            sock.settimeout(_left(deadline))
            with _trust().wrap_socket(sock, server_hostname=parts.hostname) as encrypted:
                yield encrypted
            return
    raise error


def _resolved(parts: SplitResult, seconds: float) -> list[Address]:
    """The addresses of the host, each of which was judged. A name server that is slow is not waited for."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            port = parts.port or PORTS[parts.scheme]
            found.set_result(socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        addresses = [(family, address) for family, _, _, _, address in found.result(seconds)]
    except UnicodeError:
        raise Refused("Is no name of a host") from None
    if not current_app.config["WEBHOOK_ALLOW_PRIVATE"] and not all(_is_outside(a[0]) for _, a in addresses):
        raise Refused("Must be an address that everybody can reach")
    return addresses


def _is_outside(text: str) -> bool:
    """Whether it is of the world outside. What leads to an IPv4 address (mapped, 6to4, NAT64) is judged by that."""
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if inner := address.ipv4_mapped or address.sixtofour:
            return _is_outside(str(inner))
        if address in NAT64:
            return _is_outside(str(ip_address(address.packed[-4:])))
        if address not in UNICAST:  # `is_global` takes `::127.0.0.1` and `fec0::1` for global
            return False
    return address.is_global and not address.is_multicast


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"not within {SECONDS} s")
    return left


@cache
def _trust() -> ssl.SSLContext:
    """The machine's certificate authorities."""
    return ssl.create_default_context()
