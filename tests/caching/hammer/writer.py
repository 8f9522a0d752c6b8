"""Writes the next version of what is its own, in every manner, and says on the board which it has an answer for."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import time
import uuid
from typing import Any

from .board import COUNTS
from .plan import Author, Client, Plan

FAULTY, LOST, WRITES, REPEATS, BESIDE = range(5, 10)
assert COUNTS[5:10] == ("faulty", "lost", "writes", "repeats", "beside")
PATIENCE_SECONDS = 5.0
TRIES = 1000
DONE = (200, 201, 204, 404, 409)  # 404: deleted already, 409: the first under that key is not done


class Writer(Client):
    """Writer number n is the n-th author. What he has no answer for may have been done, or be done later still."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__(plan, number)
        self.author: Author = plan.authors[number]
        self.lines: dict[int, http.client.HTTPConnection] = {}
        self.database: Any = None
        self.manners = (
            self.put,
            self.put,
            self.patch,
            self.patch,
            self.do,
            self.do,
            self.abandon,
            self.replay,
            self.replay,
            self.beside,
        )

    def step(self) -> None:
        self.random.choice(self.manners)()
        time.sleep(self.random.uniform(0, self.plan.pause))

    def put(self) -> None:
        thing = self.author.thing
        self.write(thing, "PUT", f"/api/v1/posts/{self.author.post_id}", "title", self.board.issue(thing))

    def patch(self) -> None:
        thing = self.author.thing
        self.write(thing, "PATCH", f"/api/v2/posts/{self.author.post_id}", "title", self.board.issue(thing))

    def do(self) -> None:
        """A todo, which nobody else may read."""
        thing = self.author.thing + 1
        self.write(thing, "PATCH", f"/api/v2/todos/{self.author.todo_id}", "task", self.board.issue(thing))

    def abandon(self) -> None:
        """Hang up on a write, and say the same to another: his «nothing to do» tells of it too."""
        thing = self.author.thing
        version, path = self.board.issue(thing), f"/api/v1/posts/{self.author.post_id}"
        self.hang_up("PUT", path, {"title": str(version)}, {})
        self.counter[REPEATS] += 1
        self.write(thing, "PUT", path, "title", version)

    def replay(self) -> None:
        """Hang up on a POST, and repeat it under its key until it is answered."""
        self.tidy()
        thing, path = self.author.thing + 2, "/api/v2/todos"
        version, key = self.board.issue(thing), {"Idempotency-Key": uuid.uuid4().hex}
        if self.random.random() < 0.7:
            self.hang_up("POST", path, {"task": str(version)}, key)
        self.counter[REPEATS] += 1
        for _ in range(TRIES):
            status, _ = self.ask("POST", path, {"task": str(version)}, key)
            if status == 201:
                self.board.answered(thing, version)
                self.counter[WRITES] += 1
                return
            time.sleep(0.004)  # soon after its commit there are pages that do not show it

    def tidy(self) -> None:
        """Delete all but the one that counts up and the latest: the list shall stay one page."""
        status, told = self.ask("GET", "/api/v2/todos?limit=50", None, {})
        others = {row["id"] for row in told["items"]} - {self.author.todo_id} if status == 200 else set()
        for id in sorted(others)[:-1]:
            self.ask("DELETE", f"/api/v2/todos/{id}", None, {})

    def beside(self) -> None:
        """In SQL, past the API: who does so is waited for by nobody, so he himself waits."""
        thing = self.author.thing
        version = self.board.issue(thing)
        try:
            self.run("UPDATE posts SET title = {} WHERE id = {}", str(version), self.author.post_id)
        except Exception:  # whichever of the two libraries: it may have been committed
            self.counter[LOST] += 1
            self.database = None
            time.sleep(0.1)
            return
        time.sleep(self.plan.lease)
        self.board.answered(thing, version)
        self.counter[BESIDE] += 1

    def run(self, statement: str, *values: Any) -> None:
        if self.plan.database.startswith("sqlite"):
            if self.database is None:
                path = self.plan.database.removeprefix("sqlite:///")
                self.database = sqlite3.connect(path, timeout=30, isolation_level=None)
            self.database.execute(statement.format("?", "?"), values)
            return
        if self.database is None:
            import psycopg

            self.database = psycopg.connect(self.plan.database, autocommit=True)
        self.database.execute(statement.format("%s", "%s"), values)

    def write(self, thing: int, method: str, path: str, field: str, version: int) -> None:
        """Only a 200 tells that it was done. A lost answer is asked for again, now and then."""
        for _ in range(3):
            status, _ = self.ask(method, path, {field: str(version)}, {})
            if status == 200:
                self.board.answered(thing, version)
                self.counter[WRITES] += 1
                return
            if self.random.random() < 0.5:
                return
            self.counter[REPEATS] += 1

    def ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """Status and what was said, by any server; 0: the connection was lost."""
        port = self.random.choice(self.plan.ports)
        line = self.lines.get(port)
        if line is None:
            line = self.lines[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            line.request(method, path, None if body is None else json.dumps(body), self.headers(headers))
            answer = line.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            self.counter[LOST] += 1
            line.close()
            time.sleep(0.02)
            return 0, None
        self.counter[FAULTY] += answer.status >= 500
        assert answer.status in DONE or answer.status >= 500, f"{method} {path}: {answer.status} {said!r}"
        return answer.status, json.loads(said) if said and answer.status < 300 else None

    def hang_up(self, method: str, path: str, body: Any, headers: dict[str, str]) -> None:
        """Ask, and go before there is an answer."""
        content = json.dumps(body)
        every = self.headers(headers) | {"Host": "127.0.0.1", "Content-Length": str(len(content))}
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in every.items()), "\r\n"])
        try:
            with socket.create_connection(("127.0.0.1", self.random.choice(self.plan.ports)), 1) as line:
                line.sendall((head + content).encode())
                time.sleep(self.random.uniform(0, 0.01))
        except OSError:
            self.counter[LOST] += 1

    def headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.author.token}", "Content-Type": "application/json"} | more


if __name__ == "__main__":
    Writer.main()
