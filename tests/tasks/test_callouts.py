"""Each call of a webhook goes to an address outside that was judged, and is bounded in time (HARDENING I4)."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from app.services import callouts
from tests.tasks.target import WEBHOOKS, Target, make, pinged

pytestmark = pytest.mark.usefixtures("inside")


# Time


def test_a_target_that_never_answers_is_left_in_time_and_rests(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 0.5)
    monkeypatch.setattr("app.services.webhooks.SLOW_SECONDS", 0.2)
    target.hang()
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert 0.5 <= time.monotonic() - began < 3
    perform(again=True)
    assert len(target.calls) == 1, "it is not called while it rests"
    first, second = delivery()["attempts"]
    assert "TimeoutError" in first["error"]
    assert second["error"].startswith("Not called")


def drip(what):
    def behave(handler):
        handler.wfile.write(what)
        while not handler.server.stopped.wait(0.1):
            handler.wfile.write(b"x")

    return behave


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\n"])
def test_a_target_that_drips_bytes_does_not_outlast_its_time(hers, hook, perform, target, delivery, monkeypatch, begun):
    monkeypatch.setattr(callouts, "SECONDS", 1)
    target.behave = drip(begun)
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 3
    assert delivery()["attempts"][0]["error"]


def test_a_status_counts_even_if_the_rest_drips(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 1)
    target.behave = drip(b"HTTP/1.1 200 OK\r\n\r\n")
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 3
    assert delivery()["done_at"]


def test_a_name_server_that_is_slow_is_not_waited_for(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 1.5
    assert "TimeoutError" in delivery()["attempts"][0]["error"]


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, b"\0" * 99999]
)
def test_what_is_no_answer_is_a_failure(hers, hook, perform, target, delivery, answer):
    target.behave = lambda handler: handler.wfile.write(answer)
    pinged(hers, hook)
    perform()
    (attempt,) = delivery()["attempts"]
    assert (attempt["status"], delivery()["done_at"]) == (None, None)
    assert "\n" not in attempt["error"]


# Where it goes


def test_a_redirect_is_not_followed(hers, hook, perform, target, delivery):
    with Target() as other:
        target.answer(302, headers={"Location": other.url})
        pinged(hers, hook)
        perform()
        assert other.calls == []
    assert delivery()["attempts"][0]["error"] == "Answered 302"


def test_no_proxy_of_the_environment_is_used(hers, hook, perform, target, monkeypatch):
    with Target() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        pinged(hers, hook)
        perform()
        assert (len(target.calls), proxy.calls) == (1, [])


class Names:
    """A name server: what it answers in turn, and how often it was asked."""

    def __init__(self, *answers):
        self.left, self.asked = list(answers), 0

    def __call__(self, host, port, **_):
        self.asked += 1
        addresses = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def outside_alone(app, monkeypatch):
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOW_PRIVATE", False)


@pytest.mark.parametrize("means", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"]])
def test_a_name_that_becomes_private_later_is_not_called(hers, target, perform, sql, monkeypatch, outside_alone, means):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14"], means))
    target.url = f"http://rebind.example:{target.port}/hook"
    pinged(hers, make(hers, target))
    perform()
    assert target.calls == []
    assert "everybody can reach" in sql("SELECT last_error FROM outbox")[0][0]


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    hers, target, perform, delivery, monkeypatch, hook
):
    """Rebinding between check and use has nothing to rebind: nobody asks again."""
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(callouts, "check", lambda url: None)
    hers.patch(f"{WEBHOOKS}/{hook['id']}", json={"url": f"http://rebind.example:{target.port}/hook?a=b"})
    pinged(hers, hook)
    perform()
    assert names.asked == 1
    (call,) = target.calls
    assert (call.path, call.headers["host"]) == ("/hook?a=b", f"rebind.example:{target.port}")


def test_the_next_address_of_a_name_is_tried(hers, hook, target, perform, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.99", "127.0.0.1"]))
    pinged(hers, hook)
    perform()
    assert len(target.calls) == 1


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """certificates(name): a server's TLS context for this name, of an authority that we trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(callouts, "_trust", lambda: ssl.create_default_context(cafile=str(Path(tmp_path) / "ca.pem")))

    def of(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return of


@pytest.mark.parametrize(("certified", "is_good"), [("hooks.example", True), ("other.example", False)])
def test_over_tls_the_certificate_must_be_of_the_name(
    hers, perform, monkeypatch, certificates, certified, is_good, sql
):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
    context, asked = certificates(certified), []
    context.sni_callback = lambda sock, name, _: asked.append(name)
    with Target(context) as target:
        target.url = f"https://hooks.example:{target.port}/hook"
        pinged(hers, make(hers, target))
        perform()
        assert len(target.calls) == is_good
    assert asked == ["hooks.example"]
    assert is_good or "CERTIFICATE_VERIFY_FAILED" in sql("SELECT last_error FROM outbox")[0][0]


def test_a_secret_is_in_no_log_line(hers, hook, perform, target, caplog):
    target.answer(500, 200)
    with caplog.at_level("DEBUG"):
        pinged(hers, hook)
        perform()
        perform(again=True)
    assert hook["secret"] not in caplog.text
    assert hook["secret"].removeprefix("whsec_") not in caplog.text
