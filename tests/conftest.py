"""Fixtures: the app on a real database and two real Redis; tests commit for real, with the cache on.

`TEST_DATABASE=sqlite|postgresql` says which database; `make test` runs the suite on both. Rows are deleted after each
test, which makes stale what was cached: no test clears the cache.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

from app import create_app, tokens
from app.caching.extension import Coherence
from app.extensions import db
from app.models import Post, Session, Todo, User
from app.models.base import now
from tests.factories import PostFactory, UserFactory
from tests.servers import Redis, WebServer

BACKEND = os.environ.get("TEST_DATABASE", "sqlite")
OF_THE_CHECK = ("sqlite_master", "pg_trigger", "to_regclass", "cache_generations")  # every ten seconds, of one request
# What does not depend on the database is run with one: what breaks deliveries on that of a deployment.
ON_SQLITE = (
    *("browser", "contract/test_typescript.py", "laws/test_house.py", "laws/test_swagger.py"),
    *("laws/test_access_matrix.py", "caching/test_explorer.py", "caching/test_front.py", "caching/test_near.py"),
    *("caching/test_far.py", "caching/test_flights.py", "caching/test_principals.py", "hardening/test_settings.py"),
    *("hardening/test_wire.py", "hardening/test_edge.py", "hardening/test_tokens.py"),
    *("hardening/test_cache_poisoning.py", "system/test_demo.py", "system/test_makefile.py"),
    *("system/test_docs_commands.py", "system/test_docs_guide.py", "system/test_run.py", "system/test_tour.py"),
    *("system/test_metrics.py", "tasks/test_mail_files.py", "tasks/test_request_ids.py"),
)
ON_POSTGRESQL = ("drills", "contract/test_schemathesis.py", "tasks/test_brokers.py")
LEASED = ("caching/test_oracle.py",)  # on PostgreSQL in leased mode, whose way to an answer is the longer one
# The files that take longest begin, so that no worker is left alone with one at the end.
LONGEST = (
    *("caching/test_agent.py", "caching/test_leased.py", "system/test_run.py", "drills/test_delivery.py"),
    "caching/test_oracle.py",
    *("caching/test_canaries.py", "browser/test_docs.py", "system/test_demo.py", "tasks/test_notifications.py"),
    *("api/v2/test_list_cost.py", "contract/test_schemathesis.py", "contract/test_typescript.py"),
    *("caching/test_principals.py", "hardening/test_input.py", "system/test_docs_commands.py"),
    *("system/test_tour.py", "system/test_docs_guide.py", "caching/test_cost.py", "caching/test_hammer.py"),
)
collect_ignore = list(ON_POSTGRESQL if BACKEND == "sqlite" else ON_SQLITE + LEASED)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # each commit of SQLite waits for its disk
SERVER = "TEST_POSTGRESQL"  # the environment's key by which xdist's workers find the one server


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once, in the process that xdist's workers come from."""
    if BACKEND != "postgresql" or SERVER in os.environ:
        return
    import pgserver

    logging.getLogger("pgserver").setLevel(logging.WARNING)
    folder = tempfile.mkdtemp(prefix="bs-pg-")
    Path(folder).chmod(0o755)  # as root, pgserver runs as a user of its own
    config.pgserver = pgserver.get_server(folder, cleanup_mode="stop")  # type: ignore[attr-defined]
    config.pgfolder = folder  # type: ignore[attr-defined]
    os.environ[SERVER] = config.pgserver.get_uri()  # type: ignore[attr-defined]
    _sql_on(os.environ[SERVER], "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET max_connections = 300")
    restart_postgresql(config.pgserver)  # type: ignore[attr-defined]


def restart_postgresql(server: Any) -> None:
    """End its connections, and read its settings anew."""
    from pgserver._commands import pg_ctl

    pg_ctl(["-w", "-m", "fast", "-l", str(server.log), "restart"], pgdata=server.pgdata, user=server.system_user)
    server.ensure_postgres_running()  # learns the number of its process, which it will want to stop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, each in its own order."""
    ranks = {str(Path(__file__).parent / name): rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(str(item.path), len(ranks)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it where it was started."""
    if server := getattr(config, "pgserver", None):
        os.environ.pop(SERVER)
        server.cleanup()
        shutil.rmtree(config.pgfolder, ignore_errors=True)  # type: ignore[attr-defined]


def _sql_on(url: str, *statements: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@contextmanager
def fresh_database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if BACKEND == "sqlite":
        yield f"sqlite:///{folder}/{name}.db"
        return
    server = os.environ[SERVER]
    _sql_on(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    _sql_on(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """DATA_DIR: short, for unix sockets."""
    folder = tempfile.mkdtemp(prefix="bs-", dir=MEMORY)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cache_redis() -> Iterator[Redis]:
    """The cache's Redis."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def broker_redis() -> Iterator[Redis]:
    """The broker."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def environ(data_dir: Path, cache_redis: Redis, broker_redis: Redis, worker_id: str) -> Iterator[dict[str, str]]:
    """The settings of the app under test, for our own process and for those that tests start."""
    with fresh_database(f"test_{worker_id}", data_dir) as url:
        yield {
            "SECRET_KEY": "a-secret-for-tests-only-0123456789abcdef",
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": url,
            "REDIS_URL": cache_redis.url,
            "BROKER_URL": broker_redis.broker_url,
            "BCRYPT_LOG_ROUNDS": "4",
            "WRITES_PER_MINUTE": "1000000",
            "CACHE_OBSERVE": "0",
            "PYTHONUNBUFFERED": "1",
            "CACHE_MODE": os.environ.get("CACHE_MODE", "direct"),
            "CACHE_HOSTS": os.environ.get("CACHE_HOSTS", "many"),
        }


@pytest.fixture(scope="session")
def app(environ: dict[str, str]) -> Iterator[Flask]:
    """The app, migrated."""
    app = create_app(environ)
    with app.app_context():
        upgrade()
    yield app
    app.extensions["coherence"].source.close()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(autouse=True)
def _empty_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete all rows after a test that used the app."""
    yield
    if "app" not in request.fixturenames:
        return
    with request.getfixturevalue("app").app_context(), db.engine.begin() as connection:
        statements = [str(table.delete()) for table in reversed(db.metadata.sorted_tables)]
        for statement in ["; ".join(statements)] if BACKEND == "postgresql" else statements:
            connection.exec_driver_sql(statement)
    _settle(request.getfixturevalue("app"))
    request.getfixturevalue("cache_redis").client.flushall()
    request.getfixturevalue("broker_redis").client.flushall()


def _settle(app: Flask) -> None:
    """What was written beside the API shows nowhere old from here on (at once, but in leased mode)."""
    app.extensions["coherence"].settle()


@pytest.fixture
def coherence(app: Flask) -> Coherence:
    """The app's near cache, source of generations and flights."""
    kept: Coherence = app.extensions["coherence"]
    return kept


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client without a token."""
    return app.test_client()


@pytest.fixture
def token_of(app: Flask) -> Callable[..., str]:
    """token_of(user, audience="v1"): an access token of a new session; for `refresh`, a refresh token."""

    def mint(user: User, audience: str = "v1", hours: float = 0.2) -> str:
        with app.app_context():
            session = Session(id=os.urandom(16).hex(), user_id=user.id, expires_at=now() + timedelta(hours=hours))
            db.session.add(session)
            db.session.commit()
            _settle(app)
            if audience == tokens.REFRESH_AUDIENCE:
                return tokens.mint_refresh(user.id, session.id, 0, session.expires_at)
            return tokens.mint(user.id, session.id, audience, session.expires_at)

    return mint


@pytest.fixture
def as_user(app: Flask, token_of: Callable[..., str]) -> Callable[..., FlaskClient]:
    """as_user(user, audience="v1"): a client with that user's bearer token."""

    def client_of(user: User, audience: str = "v1") -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token_of(user, audience)}"
        return client

    return client_of


@pytest.fixture
def make_user(app: Flask) -> Callable[..., User]:
    """make_user(username=…, role=…): a committed user, detached; the password is `factories.PASSWORD`."""

    def make(**values: Any) -> User:
        with app.app_context():
            user: User = UserFactory(**values)
        _settle(app)
        return user

    return make


@pytest.fixture
def make_post(app: Flask) -> Callable[..., Post]:
    """make_post(user, title=…): a committed post, detached."""

    def make(user: User, **values: Any) -> Post:
        with app.app_context():
            post: Post = PostFactory(user_id=user.id, **values)
        _settle(app)
        return post

    return make


@pytest.fixture
def make_todo(app: Flask) -> Callable[..., int]:
    """make_todo(user, task=…): the id of a committed todo."""

    def make(user: User, **values: Any) -> int:
        with app.app_context():
            todo = Todo(user_id=user.id, **{"task": "Buy ink"} | values)
            db.session.add(todo)
            db.session.commit()
            _settle(app)
            return todo.id

    return make


@pytest.fixture
def sql(app: Flask) -> Callable[..., list[Any]]:
    """sql(statement, name=value …): raw SQL on a connection of its own, committed; the rows, if it has any."""

    def run(statement: str, **values: Any) -> list[Any]:
        with app.app_context(), db.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            rows = list(result) if result.returns_rows else []
        _settle(app)
        return rows

    return run


@pytest.fixture
def count_queries() -> Callable[[], Any]:
    """`with count_queries() as statements:` collects the SQL that SQLAlchemy sends."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        statements: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if not statement.startswith("BEGIN") and not any(name in statement for name in OF_THE_CHECK):
                statements.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    return counting


@pytest.fixture(scope="session")
def server(environ: dict[str, str], app: Flask) -> Iterator[WebServer]:
    """A real server with two worker processes, on the same database."""
    with WebServer(environ) as server:
        yield server
