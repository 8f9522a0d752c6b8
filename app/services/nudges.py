"""A nudge for the relay of this host, which sleeps while nothing is due: else it looks by itself, now and then."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path

from flask import current_app

from app.events import EMITTED
from app.extensions import db


def committed() -> None:
    """Nudge it, if there is something for it. A relay on another host, or none, costs nothing but time."""
    if db.session.info.pop(EMITTED, False):
        with suppress(OSError):  # there is no pipe, or nobody reads it, or it is full: it will look
            pipe = os.open(_path(), os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(pipe, b"\0")
            finally:
                os.close(pipe)


class Pipe:
    """Where the relay waits for a nudge."""

    def __init__(self) -> None:
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # as a writer too: else it would end with the last one

    def wait(self, seconds: float) -> None:
        """Return at a nudge, one that came meanwhile too, or after so many seconds."""
        if select.select([self._pipe], [], [], seconds)[0]:
            os.read(self._pipe, 65_536)


def _path() -> Path:
    return Path(current_app.config["DATA_DIR"]) / "relay.pipe"
