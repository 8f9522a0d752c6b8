"""Reads by as many connections as there is time for, and compares."""

from __future__ import annotations

import json
import select
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from .board import COUNTS, FLOORS, LATEST, SEEN
from .plan import Author, Client, Plan

READS, HITS, UNMODIFIED, STALE, BACKWARDS, FAULTY, LOST = range(7)
assert COUNTS[:7] == ("reads", "hits", "unmodified", "stale", "backwards", "faulty", "lost")
CONNECTIONS = 4  # to each server
PATIENCE_SECONDS = 1.0
KNOWN = 3000  # answers that are remembered by their ETag
TRACED = 50
HEAD, CONDITIONAL, LATE = 0.1, 0.3, 0.5  # how many of the reads; late are those of what was written last


@dataclass
class Question:
    """An address and the things in its answer."""

    path: str
    things: dict[int, int]  # the id in the answer -> the thing's number
    field: str
    token: str = ""
    others: int | None = None  # the thing of which the latest of all other rows is a version
    etag: str = ""

    @property
    def every(self) -> list[int]:
        """The numbers of all things in it."""
        return [*self.things.values(), *([] if self.others is None else [self.others])]

    def versions(self, body: bytes) -> dict[int, int]:
        """Thing -> its version; none is 0."""
        told: Any = json.loads(body)
        rows = told if isinstance(told, list) else told.get("items", [told])
        found = dict.fromkeys(self.every, 0)
        if self.others is not None:
            found[self.others] = max((int(row[self.field]) for row in rows if row["id"] not in self.things), default=0)
        return found | {self.things[row["id"]]: int(row[self.field]) for row in rows if row["id"] in self.things}


def questions(plan: Plan) -> list[Question]:
    """Every address that is read: lists and details, both versions, for everybody and for one alone."""
    posts = {author.post_id: author.thing for author in plan.authors}
    lists = ("v1/posts", "v1/posts?per_page=50", "v2/posts", "v2/posts?fields=id,title&sort=title", "v2/posts?limit=50")
    found = [Question(f"/api/{path}", posts, "title") for path in lists]
    for author in plan.authors:
        found += _of(author)
    return found


def _of(author: Author) -> list[Question]:
    his, post = {author.post_id: author.thing}, author.post_id
    todo, task, others = author.todo_id, {author.todo_id: author.thing + 1}, author.thing + 2
    open_to_all = (f"v1/posts/{post}", f"v2/posts/{post}", f"v1/posts?user_id={author.user_id}")
    open_to_all += (f"v2/posts/{post}?include=author", f"v2/posts?author={author.user_id}&include=author")
    return [
        *(Question(f"/api/{path}", his, "title") for path in open_to_all),
        *(Question(f"/api/{v}/todos", task, "task", author.token, others) for v in ("v1", "v2")),
        *(Question(f"/api/{v}/todos/{todo}", task, "task", author.token) for v in ("v1", "v2")),
    ]


@dataclass
class Line:
    """A connection, and what was asked on it: what was noted before, and when."""

    port: int
    socket: socket.socket | None = None
    received: bytearray = field(default_factory=bytearray)
    retry_at: float = 0.0
    method: str = "GET"
    question: Question = field(default_factory=lambda: Question("", {}, ""))
    etag: str = ""
    floors: memoryview = field(default_factory=lambda: memoryview(b""))
    seen: memoryview = field(default_factory=lambda: memoryview(b""))
    sent_at: float = 0.0

    def answer(self) -> tuple[int, str, bytes] | None:
        """Status, head, body; None: it is not all there."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.received[:end].decode("latin-1")
        status = int(head[9:12])
        length = int(header(head, "content-length") or 0)
        if self.method == "HEAD" or status == 304:
            length = 0
        if len(self.received) < end + 4 + length:
            return None
        body = bytes(self.received[end + 4 : end + 4 + length])
        self.received.clear()
        return status, head, body


def header(head: str, name: str) -> str:
    """The value of a header, whose name the server writes in lower case."""
    _, found, rest = head.partition(f"\r\n{name}: ")
    return rest.partition("\r\n")[0] if found else ""


class Reader(Client):
    """Asks on each connection as soon as it has the last answer."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan, number)
        self.lines = [Line(port) for port in plan.ports for _ in range(CONNECTIONS)]
        self.questions = questions(plan)
        self.about: dict[int, list[Question]] = defaultdict(list)
        for question in self.questions:
            for thing in question.every:
                self.about[thing].append(question)
        self.known: dict[tuple[str, str], tuple[bytes, dict[int, int]]] = {}  # by path and ETag
        self.poll, self.by_file = select.epoll(), dict[int, Line]()
        self.look_at = 0.0
        self.traced = 0

    def step(self) -> None:
        for file, _ in self.poll.poll(0.1):
            self.hear(self.by_file[file])
        now = time.monotonic()
        if now >= self.look_at:
            self.look_at = now + 0.05
            self.look_around(now)

    def look_around(self, now: float) -> None:
        """Connect who is not connected, and give up who waits for too long."""
        for line in self.lines:
            if line.socket and now - line.sent_at > PATIENCE_SECONDS:
                self.lose(line)
            if not line.socket and now >= line.retry_at:
                line.retry_at = now + 0.2
                try:
                    line.socket = socket.create_connection(("127.0.0.1", line.port), 0.5)
                except OSError:
                    continue
                line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.by_file[line.socket.fileno()] = line
                self.poll.register(line.socket, select.EPOLLIN)
                self.ask(line)

    def lose(self, line: Line) -> None:
        if line.socket:
            self.poll.unregister(line.socket)
            line.socket.close()
        line.socket = None
        line.received.clear()
        self.counter[LOST] += 1

    def ask(self, line: Line) -> None:
        """First note, then ask."""
        late = self.random.random() < LATE
        line.question = question = self.random.choice(self.about[self.words[LATEST]] if late else self.questions)
        line.method = "HEAD" if self.random.random() < HEAD else "GET"
        line.etag = question.etag if self.random.random() < CONDITIONAL else ""
        words = [f"{line.method} {question.path} HTTP/1.1", f"Host: 127.0.0.1:{line.port}"]
        words += [f"Authorization: Bearer {question.token}"] if question.token else []
        words += [f"If-None-Match: {line.etag}"] if line.etag else []
        request = "\r\n".join([*words, "\r\n"]).encode()
        line.floors = self.board.noted(FLOORS)
        line.seen = self.board.noted(SEEN)
        line.sent_at = time.monotonic()
        try:
            assert line.socket is not None
            line.socket.sendall(request)
        except OSError:
            self.lose(line)

    def hear(self, line: Line) -> None:
        try:
            assert line.socket is not None
            data = line.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self.lose(line)
            return
        line.received += data
        if answer := line.answer():
            self.judge(line, *answer)
            self.ask(line)

    def judge(self, line: Line, status: int, head: str, body: bytes) -> None:
        if status >= 500:
            self.counter[FAULTY] += 1
            return
        assert status in (200, 304), f"{line.method} {line.question.path}: {status} {body!r}"
        etag = header(head, "etag")
        versions = self.versions(line, status, etag, body)
        self.counter[READS] += 1
        self.counter[HITS] += "; hit;" in header(head, "cache-status")
        self.counter[UNMODIFIED] += status == 304
        for thing, version in (versions or {}).items():
            if version < line.floors[thing]:
                self.counter[STALE] += 1
                self.trace("stale", line, thing, version, status, head)
            elif self.plan.is_strict:
                if version < line.seen[thing]:
                    self.counter[BACKWARDS] += 1
                    self.trace("backwards", line, thing, version, status, head)
                elif version > self.words[SEEN + thing]:
                    self.words[SEEN + thing] = version

    def versions(self, line: Line, status: int, etag: str, body: bytes) -> dict[int, int] | None:
        """What the answer says, or, where it has no body, what was said under its ETag; None: that was not heard."""
        question = line.question
        name = (question.path, etag)
        kept = self.known.get(name)
        if status == 304 or line.method == "HEAD":
            return kept[1] if kept else None
        if kept is None or kept[0] != body:
            assert kept is None, f"two bodies under one ETag: {name} {kept[0]!r} {body!r}"
            if len(self.known) > KNOWN:
                self.known.clear()
            kept = self.known[name] = (body, question.versions(body))
        question.etag = etag
        return kept[1]

    def trace(self, what: str, line: Line, thing: int, version: int, status: int, head: str) -> None:
        self.traced += 1
        if self.traced > TRACED:
            return
        told = {
            "what": what,
            "at": time.time(),
            "after": round(time.monotonic() - line.sent_at, 4),
            "port": line.port,
            "method": f"{line.method} {line.question.path}",
            "thing": thing,
            "version": version,
            "floor": line.floors[thing],
            "seen": line.seen[thing],
            "status": status,
            "if_none_match": line.etag,
            "head": head,
        }
        with open(self.plan.trace, "a") as file:
            file.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    Reader.main()
