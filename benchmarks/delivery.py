"""How fast people are told: outbox to inbox on an idle system, many followers, many mails, and a relay without work."""

from __future__ import annotations

import contextlib
import itertools
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
from sqlalchemy import MetaData, create_engine, insert, text

from benchmarks import servers
from benchmarks.databases import Fresh
from benchmarks.http import Connection, logged_in
from benchmarks.races import LIST, OURS, Pace
from benchmarks.report import Line
from benchmarks.rows import CONTENT

POST = {"title": "A title", "content": CONTENT}
IDLE_SECONDS = 10
PAUSE_SECONDS = 0.5
FOLLOWERS, READERS_OF_MAIL = 20_000, 1_500
PATIENCE_SECONDS = 120
WORKER = (
    "-m",
    "celery",
    "-A",
    "celery_worker.celery",
    "worker",
    "-l",
    "INFO",
    "--prefetch-multiplier",
    "4",
    "--without-gossip",
    "--without-mingle",
)
TOLD = "SELECT count(*) FROM notifications WHERE channel = 'inbox'"
OUTBOX_TO_INBOX = """SELECT o.created_at, n.created_at FROM notifications n
    JOIN outbox o ON o.event_id = n.event_id AND o.subscriber = 'notify_author'
    WHERE n.channel = 'inbox' AND n.kind = 'post_published'"""


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server that takes whatever it is given, and counts."""

    taken = itertools.count(1)
    last = 0

    def handle(self) -> None:
        """One client, until it leaves."""
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                Mailbox.last = next(self.taken)
            self.wfile.write(b"250 ok\r\n" if verb != b"QUIT" else b"221 bye\r\n")
            if verb == b"QUIT":
                return


@contextlib.contextmanager
def _mail_server() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"smtp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def lines(database: str, fresh: Fresh, pace: Pace, say: Callable[[str], None]) -> list[Line]:
    """A post at a time; then one that thousands hear of; then their mails."""
    say(f"{database}: from the outbox to the inbox and to mails")
    with contextlib.ExitStack() as stack:
        redis, url = stack.enter_context(servers.Redis()), fresh("delivery")
        settings = {"DATA_DIR": redis.folder, "REDIS_URL": redis.url, "DATABASE_URL": url}
        settings |= {"BROKER_URL": f"redis+socket://{redis.socket}", "SMTP_URL": stack.enter_context(_mail_server())}
        port = stack.enter_context(servers.broadsheet(settings)).port
        relay = stack.enter_context(servers.relay(settings))
        stack.enter_context(_worker(settings, "notifications,background", 1))
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
        stack.callback(engine.dispose)
        author_id, token = logged_in(port)
        connection = Connection(port)

        def publish() -> None:
            status, body = connection.ask("POST", LIST, POST, token)
            if status != 201:
                raise RuntimeError(f"{status} {body[:200]!r}")

        def count(query: str) -> int:
            with engine.connect() as asked:
                return int(asked.execute(text(query)).scalar_one())

        return [
            *_one_by_one(database, engine, publish, pace),
            _idle(database, relay.pid),
            _many(database, engine, author_id, publish, lambda: count(TOLD)),
            _mails(database, stack, settings),
        ]


def _worker(settings: dict[str, str], queues: str, children: int) -> servers.Server:
    command = (*WORKER, "-Q", queues, "-c", str(children))
    worker = servers.Server(sys.executable, *command, environ=servers.settled(settings | {"LOG_LEVEL": "INFO"}))
    worker.wait_for(lambda: " ready." in worker.output)
    return worker


def _one_by_one(database: str, engine: Any, publish: Callable[[], None], pace: Pace) -> list[Line]:
    """Milliseconds from the row of the event to that of its author's inbox: both say when they were written."""
    for _ in range(int(pace.seconds * pace.rounds / PAUSE_SECONDS) + 5):
        publish()
        time.sleep(PAUSE_SECONDS)
    with engine.connect() as connection:
        rows = connection.execute(text(OUTBOX_TO_INBOX)).all()
    taken = sorted((_at(told) - _at(emitted)) * 1000 for emitted, told in rows)[: len(rows)]
    half, most = taken[len(taken) // 2], taken[int(len(taken) * 0.95)]
    return [
        Line(database, "outbox to inbox, idle: p50", OURS, half, "ms", "", None, "<= 150", {"ms": taken}),
        Line(database, "outbox to inbox, idle: p95", OURS, most, "ms", "", None, "", {"ms": taken}),
    ]


def _at(time: Any) -> float:
    """SQLite's times are text."""
    found = datetime.fromisoformat(time) if isinstance(time, str) else time
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _idle(database: str, relay: int) -> Line:
    process = psutil.Process(relay)
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    share = 100 * (after.user + after.system - before.user - before.system) / IDLE_SECONDS
    return Line(database, "relay without work", OURS, share, "% of a core", "", None, "<= 1", {"percent": share})


def _many(database: str, engine: Any, author_id: int, publish: Callable[[], None], told: Callable[[], int]) -> Line:
    """Inbox rows a second, with one child of one worker, from the post's answer on."""
    tables = MetaData()
    tables.reflect(engine, only=["users", "follows"])
    users, follows = tables.tables["users"], tables.tables["follows"]
    new = {"password_hash": "x", "role": "user", "created_at": datetime(2026, 1, 1)}  # noqa: DTZ001  (of SQL)
    names = [(f"fan{n}", f"fan{n}@example.org" if n < READERS_OF_MAIL else None) for n in range(FOLLOWERS)]
    rows = [new | {"username": name, "username_key": name, "email": email} for name, email in names]
    with engine.begin() as connection:
        connection.execute(insert(users), rows)
        fans = connection.execute(text("SELECT id FROM users WHERE username LIKE 'fan%'")).scalars().all()
        follow = {"followed_id": author_id, "created_at": new["created_at"]}
        connection.execute(insert(follows), [follow | {"follower_id": fan} for fan in fans])
    if engine.dialect.name == "postgresql":  # autovacuum would do it in a minute
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    before, began = told(), time.monotonic()
    publish()
    _until(lambda: told() - before > FOLLOWERS)  # and the author himself
    seconds = time.monotonic() - began
    value = FOLLOWERS / seconds
    what = f"inbox rows of {FOLLOWERS:,} followers, one child"
    return Line(database, what, OURS, value, "/s", "", None, ">= 1000", {"seconds": seconds})


def _mails(database: str, stack: contextlib.ExitStack, settings: dict[str, str]) -> Line:
    """Mails a second to a server of this machine, with the four children of the compose file's sender."""
    Mailbox.taken, Mailbox.last = itertools.count(1), 0
    stack.enter_context(_worker(settings, "mail", 4))
    _until(lambda: Mailbox.last > 0)
    began, first = time.monotonic(), Mailbox.last
    _until(lambda: Mailbox.last >= READERS_OF_MAIL)
    value = (Mailbox.last - first) / (time.monotonic() - began)
    return Line(database, "mails, four children", OURS, value, "/s", "", None, ">= 150", {"mails": Mailbox.last})


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("Not everybody was told in time")
        time.sleep(0.05)
