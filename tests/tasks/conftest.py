"""A relay and a worker, each a process of its own, and what they have told whom."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
from flask import Flask

from app import tasks
from app.events import PostPublished, emit
from app.extensions import celery
from app.models import Post, User
from app.services import mail, outbox, preferences
from app.services.atomic import atomic
from tests.api.v2.conftest import Clock
from tests.servers import CeleryWorker, Redis, Relay, wait_for
from tests.tasks.mail_server import CERTIFICATE, MailServer
from tests.tasks.target import WEBHOOKS, Target, make

BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"
PAST = "2020-01-01 00:00:00"


@dataclass
class Delivery:
    """What brings messages from the outbox to people."""

    broker: Redis
    relay: Relay
    worker: CeleryWorker
    folder: str

    def children(self) -> list[psutil.Process]:
        """The worker's processes that do the work."""
        return psutil.Process(self.worker.pid).children()

    def restart_broker(self) -> None:
        """At the same address, with nothing in it."""
        self.broker = Redis(folder=self.folder)


@contextmanager
def delivering(environ: Mapping[str, str], *options: str) -> Iterator[Delivery]:
    """Relay and worker on a broker of their own, started side by side. `options` are the worker's."""
    folder = tempfile.mkdtemp(prefix="bs-broker-")
    broker = Redis(folder=folder)
    environ = {**environ, "BROKER_URL": broker.broker_url, "REMAP_SIGTERM": "SIGQUIT"}
    with ThreadPoolExecutor() as pool:
        relay, worker = pool.submit(Relay, environ), pool.submit(CeleryWorker, environ, "-c", "2", *options)
    running = Delivery(broker, relay.result(), worker.result(), folder)
    try:
        yield running
    finally:
        for process in (running.relay, running.worker):
            process.kill_group()
            process.stop()
        running.broker.stop()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """A real SMTP server."""
    with MailServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _calm(mail_server: MailServer) -> Iterator[None]:
    yield
    mail_server.calm()


@pytest.fixture
def setting(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """setting(SMTP_URL=…, DATA_DIR=…) within an application context."""
    with app.app_context():
        yield lambda **values: [monkeypatch.setitem(app.config, name, value) for name, value in values.items()]


@pytest.fixture
def smtp(setting: Callable[..., Any], mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    """The server is set, and its certificate is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setattr(mail, "_trust", mail._trust.__wrapped__)  # what one test trusts the next one need not
    setting(SMTP_URL=mail_server.url)
    return mail_server


@pytest.fixture
def delivered(sql) -> Callable[..., None]:
    """delivered(n): wait until there are n messages in the outbox and all of them are done."""

    def wait(messages: int, seconds: float = 30) -> None:
        def are_done() -> bool:
            ends = [done for (done,) in sql("SELECT done_at IS NOT NULL FROM outbox")]
            return len(ends) == messages and all(ends)

        wait_for(are_done, seconds)

    return wait


@pytest.fixture
def inbox(sql) -> Callable[[], list[tuple[str, str]]]:
    """inbox(): (username, kind) of every row of every inbox."""

    def rows() -> list[tuple[str, str]]:
        found = sql(
            "SELECT u.username, n.kind FROM notifications n JOIN users u ON u.id = n.user_id WHERE n.channel = 'inbox'"
        )
        return sorted((name, kind) for name, kind in found)

    return rows


@pytest.fixture
def lapse(sql) -> Callable[[], None]:
    """lapse(): as if the time of every claim, attempt and pause had run out."""

    def run_out() -> None:
        sql(f"UPDATE outbox SET next_attempt_at = '{PAST}' WHERE done_at IS NULL AND dead_at IS NULL")

    return run_out


# Webhooks, and a program of somebody else's


@pytest.fixture
def target():
    with Target() as target:
        yield target


@pytest.fixture
def inside(app, monkeypatch):
    """Targets on this machine may be called, unless a test says otherwise."""
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOW_PRIVATE", True)


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def hers(alice, as_user):
    return as_user(alice, "v2")


@pytest.fixture
def root(make_user, as_user):
    return as_user(make_user(username="root", role="admin"), "v2")


@pytest.fixture
def hook(hers, target):
    """A webhook of Alice's: what was answered when it was made."""
    return make(hers, target)


@pytest.fixture
def perform(app, sql):
    """perform(): run what is due for the first time, and what follows; perform(again=True): what failed too."""
    tasks.init_app(app)

    def run(again=False) -> None:
        seen = set()
        while due := sql(
            "SELECT id, subscriber, attempts FROM outbox WHERE done_at IS NULL AND dead_at IS NULL ORDER BY id"
        ):
            due = [row for row in due if row[0] not in seen and (again or row[2] == 0)]
            if not due:
                return
            for id, subscriber, attempts in due:
                seen.add(id)
                celery.tasks[subscriber].apply(args=[id, attempts], throw=True)

    return run


@pytest.fixture
def try_often(perform):
    """try_often(): until the outbox has given up, or all is done."""
    return lambda: [perform(again=True) for _ in range(8)]


@pytest.fixture
def delivery(hers, hook):
    """delivery(): the latest of Alice's webhook."""
    return lambda: hers.get(f"{WEBHOOKS}/{hook['id']}/deliveries").json["items"][0]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """at(instant): that is the present, for all that brings mail. What is emitted is due by the real clock, so the
    instants are years to come.
    """
    clock = Clock()
    for module in ("digests", "notifications", "outbox"):
        monkeypatch.setattr(f"app.services.{module}.now", clock.now)
    return lambda instant: clock.forward(seconds=(instant - clock.now()).total_seconds())


@pytest.fixture
def bob(make_user: Callable[..., User]) -> User:
    """Who is told."""
    return make_user(username="bob")


@pytest.fixture
def prefers(app: Flask, bob: User) -> Callable[..., None]:
    """prefers(digest="daily" …): what Bob prefers."""

    def write(**wishes: Any) -> None:
        with app.app_context():
            preferences.change(bob, **wishes)

    return write


@pytest.fixture
def bring(app: Flask, smtp: MailServer, setting: Callable[..., Any]) -> Callable[[], None]:
    """bring(): run what is due, and what follows from that."""
    tasks.init_app(app)
    setting(PUBLIC_URL="https://blog.example.org/")

    def due() -> list[outbox.Due]:
        with app.app_context():
            return outbox.claim()

    def run() -> None:
        while messages := due():
            for message in messages:
                celery.tasks[message.subscriber].apply(args=[message.id, message.attempts], throw=True)

    return run


@pytest.fixture
def publish(
    app: Flask, make_post: Callable[..., Post], make_user: Callable[..., User], bob: User, bring: Any, sql: Any
) -> Callable[..., None]:
    """publish("A title" …): Alice, whom Bob follows, publishes, and all is told that is due."""
    alice = make_user(username="alice", email=None)
    follow = "INSERT INTO follows (follower_id, followed_id, created_at) VALUES (:fan, :author, '2020-01-01')"
    sql(follow, fan=bob.id, author=alice.id)

    def write(*titles: str) -> None:
        for title in titles:
            post = make_post(alice, title=title)
            with app.app_context(), atomic():
                emit(PostPublished(post.id))
        bring()

    return write


@pytest.fixture
def morning(bring: Callable[[], None]) -> Callable[[], None]:
    """morning(): beat asks, and all is done that follows."""

    def ask() -> None:
        celery.tasks["send_digests"].apply(throw=True)
        bring()

    return ask


def utc(text: str) -> datetime:
    """The instant that this is in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str = BERLIN) -> datetime:
    """The instant that this is there."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def body(mail: EmailMessage, kind: str = "plain") -> str:
    """One of a mail's two bodies."""
    part = mail.get_body((kind,))  # type: ignore[arg-type]
    return str(part.get_content()).replace("\r\n", "\n") if part else ""
