"""The ASGI application of the live stream, looked at from inside: what takes long, and what must not be done at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from app.streaming import asgi, watch
from app.streaming.asgi import PATH, Streaming


class Client:
    """An ASGI server's side of one request."""

    def __init__(self, streaming, token, takes=None):
        self.sent, self.gone = [], asyncio.Event()
        self._takes = takes  # None: whatever comes
        scope = {"type": "http", "method": "GET", "path": PATH, "query_string": b"", "http_version": "1.1"}
        scope |= {"scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1)}
        scope["headers"] = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
        self.task = asyncio.create_task(streaming(scope, self.receive, self.send))

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self._takes is not None and len(self.sent) >= self._takes:
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def heard(self):
        return b"".join(message["body"] for message in self.sent[1:])


@asynccontextmanager
async def living(app):
    """The application from the server's start to its end."""
    streaming, said = Streaming(app), asyncio.Queue()
    messages = asyncio.Queue()
    life = asyncio.create_task(streaming({"type": "lifespan"}, messages.get, said.put))
    await messages.put({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    yield streaming
    await messages.put({"type": "lifespan.shutdown"})
    assert await said.get() == {"type": "lifespan.shutdown.complete"}
    await life


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def finish(drive):
    """Run it, within bounds: what hangs has failed."""
    asyncio.run(asyncio.wait_for(drive, 30))


@pytest.fixture
def token(make_user, token_of):
    return token_of(make_user(username="anna"), "v2")


def test_a_heartbeat_comes_where_nothing_else_does(app, token, monkeypatch):
    assert asgi.HEARTBEAT_SECONDS == 15
    monkeypatch.setattr(asgi, "HEARTBEAT_SECONDS", 0.05)

    async def drive():
        async with living(app) as streaming:
            client = Client(streaming, token)
            await until(lambda: client.heard.count(b": \n\n") >= 3)
            assert client.heard.replace(b": \n\n", b"") == b"retry: 3000\n\n"
            client.gone.set()
            await client.task
            assert not client.sent[-1].get("more_body")

    finish(drive())


def test_a_client_that_takes_nothing_is_let_go_and_holds_little(app, token, sql, monkeypatch):
    monkeypatch.setattr(asgi, "SLOW_SECONDS", 1.0)
    rows = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at) VALUES "
    row = "('{}', (SELECT id FROM users), 'inbox', 'welcome', '2026-01-01')"

    async def drive():
        async with living(app) as streaming:
            client = Client(streaming, token, takes=1)  # the head alone
            await until(lambda: streaming._watch._streams)
            (stream,) = streaming._watch._streams
            await asyncio.to_thread(sql, rows + ",".join(row.format(n) for n in range(watch.MOST_WAITING + 50)))
            await until(lambda: len(stream.waiting) == watch.MOST_WAITING)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await until(lambda: len(stream.waiting) != watch.MOST_WAITING)
            await until(lambda: not streaming._watch._streams)
            client.task.cancel()

    finish(drive())


def test_a_process_without_clients_asks_the_database_nothing(app, token, monkeypatch):
    asked = []
    current = app.extensions["coherence"].current
    monkeypatch.setattr(app.extensions["coherence"], "current", lambda slots: asked.append(slots) or current(slots))

    async def drive():
        async with living(app) as streaming:
            await asyncio.sleep(3 * watch.LOOK_EVERY_SECONDS)
            assert asked == []
            client = Client(streaming, token)
            await until(lambda: asked)
            client.gone.set()
            await client.task
            await asyncio.sleep(watch.LOOK_EVERY_SECONDS)
            seen = len(asked)
            await asyncio.sleep(3 * watch.LOOK_EVERY_SECONDS)
            assert len(asked) == seen

    finish(drive())


def test_an_inbox_is_read_when_its_generation_has_moved_and_not_before(app, token, sql, count_queries):
    """One look for all, and SQL for whom something has come."""

    async def drive():
        async with living(app) as streaming:
            client = Client(streaming, token)
            await until(lambda: client.heard)
            await asyncio.sleep(2 * watch.LOOK_EVERY_SECONDS)
            with count_queries() as statements:
                await asyncio.sleep(4 * watch.LOOK_EVERY_SECONDS)
            assert statements == []
            insert = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at) "
            await asyncio.to_thread(sql, insert + "SELECT 'e', id, 'inbox', 'welcome', '2026-01-01' FROM users")
            await until(lambda: b"event: notification" in client.heard)
            client.gone.set()
            await client.task

    finish(drive())


def test_a_process_that_ends_begins_no_stream(app, token):
    """It would keep the process from ending."""

    async def drive():
        async with living(app) as streaming:
            streaming._watch.end_all()
            client = Client(streaming, token)
            await client.task
            assert client.status == 503

    finish(drive())


def test_where_generations_cannot_be_known_each_inbox_is_read(app, token, sql, monkeypatch):
    monkeypatch.setattr(app.extensions["coherence"], "current", lambda slots: None)

    async def drive():
        async with living(app) as streaming:
            client = Client(streaming, token)
            await until(lambda: client.heard)
            insert = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at) "
            await asyncio.to_thread(sql, insert + "SELECT 'e', id, 'inbox', 'welcome', '2026-01-01' FROM users")
            await until(lambda: b"event: notification" in client.heard)
            client.gone.set()
            await client.task

    finish(drive())
