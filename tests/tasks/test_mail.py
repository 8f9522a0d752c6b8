"""Mail, to a real SMTP server and to files."""

from __future__ import annotations

import asyncio
import signal
import smtplib
import ssl
import time
from email import message_from_bytes, policy

import pytest

from app.services import mail

ADDRESS, KEY = "ada@example.org", "7.0123abcd"


def test_a_mail_arrives_as_it_was_written(smtp):
    mail.send(ADDRESS, "Grüße", "Zeile – 中文\n.\n..\n", KEY)
    (taken,) = smtp.messages
    assert (taken["From"], taken["To"]) == ("broadsheet@localhost.localdomain", ADDRESS)
    assert taken["Subject"] == "Grüße"
    assert taken["Message-ID"] == f"<{KEY}@localhost.localdomain>"
    assert taken["Date"].datetime
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken.get_content().splitlines() == ["Zeile – 中文", ".", ".."]


def test_a_mail_has_two_bodies_of_which_the_last_is_the_better(smtp):
    mail.send(ADDRESS, "subject", "Grüße", KEY, "<p>Grüße</p>", None)
    (taken,) = smtp.messages
    assert taken.get_content_type() == "multipart/alternative"
    bodies = [(part.get_content_type(), part.get_content().strip()) for part in taken.iter_parts()]
    assert bodies == [("text/plain", "Grüße"), ("text/html", "<p>Grüße</p>")]
    assert taken["List-Unsubscribe"] is taken["List-Unsubscribe-Post"] is None


def test_the_address_to_unsubscribe_is_one_word_on_the_wire(smtp):
    """RFC 8058 §3.1; Python folds and encodes headers that are long."""
    url = "https://blog.example.org/" + 40 * "a-_.0123456789" + "/x"
    mail.send(ADDRESS, "subject", "text", KEY, "<p>text</p>", url)
    (wire,) = smtp.raw
    unfolded = wire.replace(b"\r\n ", b" ").split(b"\r\n")
    assert [line for line in unfolded if line.startswith(b"List-")] == [
        f"List-Unsubscribe: <{url}>".encode(),
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]
    assert max(map(len, wire.split(b"\r\n"))) <= 998, "RFC 5322 §2.1.1"


@pytest.mark.parametrize(
    "title", ["a\nBcc: all@example.org", "a\r\n\r\nb", "a\x1c\x85\u2028b", "=?utf-8?q?x?=", "x" * 999]
)
def test_a_title_cannot_make_headers_of_its_own(smtp, title):
    mail.send(ADDRESS, title, "text", KEY)
    (taken,) = smtp.messages
    assert taken["Bcc"] is None
    assert taken.get_content().strip() == "text"
    assert "\n" not in taken["Subject"]


def test_a_wrong_password_is_an_error(smtp, setting):
    setting(SMTP_URL=smtp.url_of("broadsheet", "wrong"))
    with pytest.raises(smtplib.SMTPAuthenticationError):
        mail.send(ADDRESS, "subject", "text", KEY)
    assert smtp.messages == []


def test_nothing_goes_to_a_server_whose_certificate_nobody_vouches_for(smtp, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ssl.SSLCertVerificationError):
        mail.send(ADDRESS, "subject", "text", KEY)
    assert smtp.logins == []


def test_a_server_that_is_not_there_is_an_error(setting):
    setting(SMTP_URL="smtp://localhost:1")
    with pytest.raises(OSError, match="refused"):
        mail.send(ADDRESS, "subject", "text", KEY)


def test_what_was_taken_is_no_error_even_if_the_server_hangs_up(smtp):
    """It would be sent again."""
    smtp.hangs_up_at_quit = True
    mail.send(ADDRESS, "subject", "text", KEY)
    assert len(smtp.messages) == 1


def test_an_attempt_that_is_cut_short_ends_at_once(smtp):
    """As the soft time limit does, by a signal: no good-bye may wait for the answer that did not come."""

    class CutShort(Exception):
        pass

    def cut_short(*_):
        raise CutShort

    async def think(*_):
        await asyncio.sleep(1)

    smtp.before_taking = think
    former = signal.signal(signal.SIGALRM, cut_short)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    with pytest.raises(CutShort):
        mail.send(ADDRESS, "subject", "text", KEY)
    signal.signal(signal.SIGALRM, former)
    assert time.monotonic() - began < 0.8


def test_without_a_server_it_is_a_file_and_twice_is_one(setting, tmp_path):
    setting(SMTP_URL=None, DATA_DIR=str(tmp_path))
    for text in ("first", "second"):
        mail.send(ADDRESS, "subject", text, KEY)
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == f"{KEY}.eml"
    assert message_from_bytes(file.read_bytes(), policy=policy.default).get_content() == "second\n"
