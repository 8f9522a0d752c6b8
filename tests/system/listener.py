"""A client of the live stream that keeps what it hears."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import requests


class Listener:
    """Listens in a thread, once; `again()` begins anew where this one was cut off.

    :ivar events: (id, data) as they came.
    :ivar heard_at: when, by id, in `time.monotonic()`.
    :ivar ended: how it ended: `whole` as HTTP wants it, or `broken`; None: it has not.
    """

    def __init__(self, url: str, token: str, last_id: int | None = None) -> None:
        self._url, self._token = url, token
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.heard_at: dict[int, float] = {}
        self.lines: list[str] = []
        self.ended: str | None = None
        headers = {"Authorization": f"Bearer {token}"} | ({} if last_id is None else {"Last-Event-ID": str(last_id)})
        self._last_id = last_id
        self.answer = requests.get(url, headers=headers, stream=True, timeout=(10, 60))
        assert self.answer.status_code == 200, self.answer.text
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def ids(self) -> list[int]:
        return [id for id, _ in self.events]

    @property
    def last_id(self) -> int | None:
        return self.ids[-1] if self.events else self._last_id

    def again(self, url: str | None = None) -> Listener:
        return Listener(url or self._url, self._token, self.last_id)

    def close(self) -> None:
        self.answer.raw._fp.fp.raw._sock.shutdown(2)  # close() would wait for the end

    def _listen(self) -> None:
        said: dict[str, str] = {}
        try:
            for raw in self.answer.iter_lines(chunk_size=1):
                line = raw.decode()
                self.lines.append(line)
                if line:
                    name, _, value = line.partition(": ")
                    said[name] = value
                elif "data" in said:
                    assert said["event"] == "notification"
                    self.heard_at[int(said["id"])] = time.monotonic()
                    self.events.append((int(said["id"]), json.loads(said["data"])))
                    said = {}
            self.ended = "whole"
        except (requests.RequestException, AttributeError, ValueError, OSError):
            self.ended = "broken"
