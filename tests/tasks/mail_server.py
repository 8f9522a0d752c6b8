"""A real SMTP server with a temper: over STARTTLS and a login it takes mail, or refuses, delays, hangs up."""

from __future__ import annotations

import asyncio
import atexit
import logging
import shutil
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers import free_port

AUTHORITY = trustme.CA()
CERTIFICATE = Path(tempfile.mkdtemp(prefix="bs-tls-"), "authority.pem")  # `SSL_CERT_FILE=…` trusts it
AUTHORITY.cert_pem.write_to_path(str(CERTIFICATE))
atexit.register(shutil.rmtree, CERTIFICATE.parent, ignore_errors=True)
USER, PASSWORD = "broadsheet", "p@ss/word?"  # not fit for a URL as it stands
OK = "250 OK"


class Listener(Controller):
    """One that closes its clients' connections when it stops; aiosmtpd leaves them to the garbage collector."""

    def factory(self) -> SMTP:
        """Called by aiosmtpd for each connection."""
        transports = self.__dict__.setdefault("transports", [])

        class Noted(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.append(transport)
                super().connection_made(transport)

        return Noted(self.handler, **self.SMTP_kwargs)

    def stop(self, no_assert: bool = False) -> None:
        """Hang up, and listen no more."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        assert self.server is not None
        self.server.close()
        for transport in self.__dict__.get("transports", []):
            transport.abort()
        await asyncio.sleep(0.01)


class MailServer:
    """Listens while its `with` block lasts. `messages`: what it took, `raw`: as it came.

    `refused`: addresses that it refuses for now.
    `before_taking`: called with a client's port and the recipient when a mail has come, before that is answered.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.refused: set[str] = set()
        self.before_taking: Callable[[int, str], Awaitable[None]] | None = None
        self.hangs_up_at_quit = False
        self.logins: list[bytes] = []
        self._port = free_port()
        self._controller = self._listener()

    def _listener(self) -> Listener:
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert("localhost", "127.0.0.1").configure_cert(secure)
        return Listener(
            self,
            hostname="127.0.0.1",
            port=self._port,
            tls_context=secure,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )

    @property
    def url(self) -> str:
        """What SMTP_URL is set to."""
        return self.url_of(USER, PASSWORD)

    def url_of(self, user: str, password: str, query: str = "?starttls=1") -> str:
        """The same with another login."""
        return f"smtp://{quote(user)}:{quote(password, safe='')}@localhost:{self._port}{query}"

    def to(self, address: str) -> list[EmailMessage]:
        """The mails that came for an address."""
        return [message for message in self.messages if message["To"] == address]

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        if address in self.refused:
            return "451 4.3.0 Not now"
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        if self.before_taking:
            await self.before_taking(session.peer[1], envelope.rcpt_tos[0])
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return OK

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd."""
        if self.hangs_up_at_quit:
            await asyncio.sleep(0)
            server.transport.abort()
        return "221 Bye"

    def go_away(self) -> None:
        """Refuse connections from now on."""
        self._controller.stop()

    def come_back(self) -> None:
        """Listen again, where it did."""
        self._controller = self._listener()
        self._controller.start()

    def calm(self) -> None:
        """As it was at first."""
        self.messages.clear()
        self.raw.clear()
        self.logins.clear()
        self.refused.clear()
        self.before_taking, self.hangs_up_at_quit = None, False

    def __enter__(self) -> MailServer:
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._controller.stop()
