"""Who listens to his inbox, and the one thread that looks for him: at the cache's generations and, where they have
moved, at his inbox.
"""

from __future__ import annotations

import logging
import threading
import time
from asyncio import AbstractEventLoop, Event
from collections import deque
from dataclasses import dataclass, field

import orjson
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from app.caching.dependencies import PRIVATE, SESSION
from app.errors import TooManyRequests, Unauthorized, Unavailable
from app.models import Notification
from app.schemas.v2.notifications import NotificationV2
from app.services import arrivals, sessions
from app.services.atomic import begin_read

LOOK_EVERY_SECONDS = 0.25
PAUSE_AFTER_FAULT_SECONDS = 1.0
MOST_WAITING = 200  # events of a stream that its client has not taken yet

log = logging.getLogger(__name__)
SHAPE = NotificationV2()
Generations = tuple[int | None, ...]


@dataclass(eq=False, slots=True)
class Stream:
    """One client that listens.

    :ivar expires_at: of its token, in seconds since the epoch.
    :ivar waiting: events as they go over the wire; `stirred` is set when there are some, or when it is over.
    :ivar over: why it ends; None: it does not.
    """

    user_id: int
    session_id: str
    expires_at: float
    told: arrivals.Told
    waiting: deque[bytes] = field(default_factory=deque)
    stirred: Event = field(default_factory=Event)
    over: str | None = None
    let_in: Generations = ()
    read: Generations = ()

    def end(self, why: str) -> None:
        """Let it end; in the event loop."""
        self.over = self.over or why
        self.stirred.set()


class Watch:
    """The streams of this process.

    :param most: streams of one user at a time.
    """

    def __init__(self, app: Flask, most: int) -> None:
        self._app, self._most = app, most
        self._streams: set[Stream] = set()
        self._lock, self._wanted = threading.Lock(), threading.Event()
        self._loop: AbstractEventLoop | None = None
        self._closed = False

    def start(self, loop: AbstractEventLoop) -> None:
        """Begin to look, in a thread that nobody waits for."""
        self._loop = loop
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def add(self, stream: Stream) -> None:
        """Look for this one too, from now on.

        :raises TooManyRequests: its user has as many as he may.
        :raises Unavailable: the process ends.
        """
        with self._lock:
            if self._closed:
                raise Unavailable
            if sum(each.user_id == stream.user_id for each in self._streams) >= self._most:
                problem = TooManyRequests(f"At most {self._most} streams of one user", code="too_many_streams")
                problem.headers["Retry-After"] = "5"
                raise problem
            self._streams.add(stream)
        self._wanted.set()

    def drop(self, stream: Stream) -> None:
        """Look for it no more."""
        with self._lock:
            self._streams.discard(stream)

    def end_all(self) -> None:
        """Let all end, in the event loop: their clients come back, to whoever is here then."""
        with self._lock:
            self._closed = True
            for stream in self._streams:
                stream.end("the process ends")

    def _run(self) -> None:
        pause: float | None = None
        while True:
            self._wanted.wait(pause)
            self._wanted.clear()
            with self._lock:
                streams = list(self._streams)
            try:
                known = not streams or self.look(streams)
            except Exception as error:  # whatever it is: there is nobody else who would look
                log.warning("inboxes cannot be read: %s", error, exc_info=not isinstance(error, SQLAlchemyError))
                known = False
            pause = None if not streams else LOOK_EVERY_SECONDS if known else PAUSE_AFTER_FAULT_SECONDS

    def look(self, streams: list[Stream]) -> bool:
        """Tell these what they were not told. Whether it is known what has moved; where not, each inbox was read."""
        of_all = {slot for each in streams for slot in (*SESSION.member(each.user_id), *PRIVATE.member(each.user_id))}
        slots = tuple(sorted(of_all))
        with self._app.app_context():
            noted = self._app.extensions["coherence"].current(slots)  # before anything is read, as for a cached answer
            now = dict(zip(slots, noted, strict=True)) if noted is not None else {}
            begin_read()
            tended = [(stream, self._tend(stream, now)) for stream in streams]
        if loop := self._loop:
            loop.call_soon_threadsafe(_stir, tended)
        return bool(now)

    def _tend(self, stream: Stream, now: dict[int, int]) -> str | None:
        """Read for one what is to tell; why it has to end, if it has."""
        if time.time() > stream.expires_at:
            return "its token has expired"
        let_in, read = (tuple(now.get(s) for s in family.member(stream.user_id)) for family in (SESSION, PRIVATE))
        if not now or let_in != stream.let_in:
            try:
                sessions.actor(stream.user_id, stream.session_id)
            except Unauthorized:
                return "its session has ended"
            stream.let_in = let_in
        room = MOST_WAITING - len(stream.waiting)
        if room and (not now or read != stream.read):
            new, told = arrivals.untold(stream.user_id, stream.told, room)
            stream.waiting.extend(map(_event, new))
            stream.told.add(told)
            if len(new) < room:
                stream.read = read
        return None


def _stir(tended: list[tuple[Stream, str | None]]) -> None:
    for stream, why in tended:
        if why:
            stream.end(why)
        elif stream.waiting:
            stream.stirred.set()


def _event(row: Notification) -> bytes:
    return b"id: %d\nevent: notification\ndata: %b\n\n" % (row.id, orjson.dumps(SHAPE.dump(row)))
