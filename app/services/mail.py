"""Mail by SMTP, or as files in `DATA_DIR/mail` where no server is set."""

from __future__ import annotations

import os
import smtplib
import ssl
from contextlib import closing, suppress
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flask import current_app

TIMEOUT_SECONDS = 10


class _Whole(EmailPolicy):
    """Leaves a URL whole: Python folds what is long, and a long word it encodes as if it were no ASCII."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """A header as it is sent."""
        if name == "List-Unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return bytes(super().fold_binary(name, value))


def send(address: str, subject: str, text: str, key: str, html: str = "", unsubscribe: str | None = None) -> None:
    """Hand one mail over.

    :param key: unique for this mail and the same at each attempt: its Message-ID is made of it.
    :param html: the same as the text, for those who like it.
    :param unsubscribe: the URL where a POST ends such mails (RFC 2369, RFC 8058).
    :raises OSError: it was not taken (`smtplib.SMTPException` is one).
    """
    config = current_app.config
    sender: str = config["MAIL_FROM"]
    message = EmailMessage(policy=_Whole())
    message["From"], message["To"] = sender, address
    message["Subject"] = " ".join(subject.split())
    message["Message-ID"] = f"<{key}@{sender.partition('@')[2]}>"
    message["Date"] = formatdate()
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    if config["SMTP_URL"]:
        _by_smtp(config["SMTP_URL"], message)
    else:
        _to_file(Path(config["DATA_DIR"]) / "mail", key, message)


def connected(url: str) -> smtplib.SMTP:
    """A connection to the server that `SMTP_URL` names, encrypted and logged in as it says; for the caller to close.

    :raises OSError: there is none.
    """
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=_trust())
    else:
        server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_SECONDS)
    try:
        if parse_qs(parts.query).get("starttls") == ["1"]:
            server.starttls(context=_trust())
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _by_smtp(url: str, message: EmailMessage) -> None:
    with closing(connected(url)) as server:
        server.send_message(message)
        with suppress(OSError):  # it was taken, whatever comes now
            server.quit()


@cache
def _trust() -> ssl.SSLContext:
    """The machine's certificate authorities; to read them takes longer than to send a mail."""
    return ssl.create_default_context()


def _to_file(folder: Path, key: str, message: EmailMessage) -> None:
    """A whole file or none: the same mail written twice is one file."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{key}.{os.getpid()}"
    unfinished.write_bytes(message.as_bytes())
    unfinished.replace(folder / f"{key}.eml")
