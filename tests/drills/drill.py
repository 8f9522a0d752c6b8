"""A drill: somebody writes posts all the while, something breaks, and each acknowledged post is accounted for."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import requests

from tests.servers import CeleryWorker, Redis, Relay
from tests.tasks.mail_server import CERTIFICATE, MailServer

FULL = os.environ.get("DRILLS") == "full"
LEASE_SECONDS = 60.0 if FULL else 4.0
WAITING = """SELECT id, subscriber, attempts, created_at, next_attempt_at, dead_at, last_error FROM outbox
    WHERE done_at IS NULL ORDER BY id LIMIT 20"""
ROWS = "SELECT post_id, user_id, count(*) FROM notifications WHERE channel = 'inbox' GROUP BY post_id, user_id"
POST = {"title": "A title", "content": "Some words."}
PATIENCE = 2 * LEASE_SECONDS + 30
IN_VAIN = LEASE_SECONDS + 4  # what has not come by then was not taken up again
TOLD = 2  # the author and an admin, each in the inbox and by mail


class Drill:
    """What is needed to deliver; and a client that writes while the `with` block lasts.

    :param token: the author's; one admin hears of his posts, and both have an address.
    :ivar heard: what gives the ids of the posts that somebody else, who should hear of all, has heard of.
    """

    def __init__(
        self, name: str, environ: Mapping[str, str], url: str, token: str, mails: MailServer, sql: Callable[..., Any],
        protected: bool,
    ) -> None:  # fmt: skip
        self.name, self._url, self._mails, self._sql = name, f"{url}/api/v1/posts", mails, sql
        self.broker = Redis()
        self.environ = {**environ, "BROKER_URL": self.broker.broker_url, "DRILL_LEASE": str(LEASE_SECONDS)}
        self.environ |= {"SMTP_URL": mails.url, "SSL_CERT_FILE": str(CERTIFICATE), "REMAP_SIGTERM": "SIGQUIT"}
        self.environ |= {} if protected else {"DRILL_UNPROTECTED": "1"}
        self.environ |= {"WEBHOOK_ALLOW_PRIVATE": "true"} | ({} if FULL else {"DRILL_CALL": "2"})
        self.heard: list[Callable[[], set[int]]] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._acknowledged: list[int] = []
        self._failed = 0
        self._seconds: list[float] = []
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write)
        self._processes: list[Relay | CeleryWorker] = []
        self._injected = 0.0

    def relay(self, fault: str = "") -> Relay:
        """Start one."""
        self._processes.append(relay := Relay(self.environ | {"DRILL_FAULT": fault}, app="tests.drills.faulty"))
        return relay

    def worker(self, fault: str = "") -> CeleryWorker:
        """Start one, of two processes."""
        given = self.environ | {"DRILL_FAULT": fault}
        self._processes.append(worker := CeleryWorker(given, "-c", "2", app="tests.drills.faulty.celery"))
        return worker

    def begin(self) -> None:
        """Let the client write, five posts a second."""
        self._writer.start()

    def injected(self) -> None:
        """The fault is there, from now on."""
        self._injected = time.monotonic()

    def report(self, patience: float) -> dict[str, Any]:
        """Stop writing; wait until all is delivered, or patience ends. Print a line, and return what it says."""
        self._stop.set()
        self._writer.join()
        deadline = time.monotonic() + patience
        while (lost := self._lost()) and time.monotonic() < deadline:
            time.sleep(0.1)
        recovered = None if lost else round(time.monotonic() - self._injected, 1)
        mails = Counter(mail["Message-ID"] for mail in self._mails.messages)
        said = {
            "drill": self.name,
            "injected": 1,
            "recovered_after_s": recovered,
            "written": len(self._acknowledged),
            "lost": lost,
            "duplicates": sum(number - 1 for *_, number in self._sql(ROWS)),
            "mail_duplicates": sum(mails.values()) - len(mails),
            "5xx": self._failed,
            "write_p99_ms": round(sorted(self._seconds)[int(0.99 * len(self._seconds))] * 1000),
        }
        print(json.dumps(said))
        if lost:
            print(f"at {datetime.now(UTC)}, of what waits:", *self._sql(WAITING), sep="\n")
        return said

    def _lost(self) -> int:
        """How much of what was acknowledged nobody has heard of until now."""
        rows = self._sql(ROWS)
        inbox = sum(1 for post_id, *_ in rows if post_id in self._acknowledged)
        mails = len({mail["Message-ID"] for mail in self._mails.messages})
        wanted = TOLD * len(self._acknowledged)
        unheard = sum(len(set(self._acknowledged) - heard()) for heard in self.heard)
        return max(wanted - inbox, 0) + max(wanted - mails, 0) + unheard

    def _write(self) -> None:
        with requests.Session() as session:
            while not self._stop.wait(0.2):
                began = time.monotonic()
                try:
                    answer = session.post(self._url, json=POST, headers=self._headers, timeout=10)
                    self._seconds.append(time.monotonic() - began)
                    answer.raise_for_status()
                    self._acknowledged.append(answer.json()["id"])
                except requests.RequestException:
                    self._failed += 1

    def __enter__(self) -> Drill:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        if self._writer.ident:
            self._writer.join()
        for process in self._processes:
            process.kill_group()
            process.stop()
        self.broker.stop()


def judge(drill: Drill, protected: bool, mail_duplicates: int = 0) -> None:
    """All was delivered, or, without protection, not all. The API's clients have noticed nothing in either case."""
    said = drill.report(PATIENCE if protected else IN_VAIN)
    assert said["5xx"] == 0
    assert said["duplicates"] == 0
    assert said["mail_duplicates"] <= mail_duplicates
    assert (said["lost"] == 0) == protected, said
    if FULL:
        assert said["write_p99_ms"] < 500
