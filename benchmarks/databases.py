"""Databases to measure on: SQLite in a folder, or PostgreSQL from its wheel, with the settings of production."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import create_engine, text

Fresh = Callable[[str], str]  # name -> the URL of an empty database


@contextlib.contextmanager
def sqlite() -> Iterator[Fresh]:
    """Files of a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="bs-bench-") as folder:
        yield lambda name: f"sqlite:///{folder}/{name}.db"


@contextlib.contextmanager
def postgresql() -> Iterator[Fresh]:
    """Databases of a server that goes away."""
    with contextlib.ExitStack() as stack:
        if "XDG_RUNTIME_DIR" not in os.environ:  # pgserver warns at import without it
            os.environ["XDG_RUNTIME_DIR"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="bs-xdg-"))
        import pgserver

        logging.getLogger("pgserver").setLevel(logging.WARNING)
        folder = tempfile.mkdtemp(prefix="bs-pg-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        Path(folder).chmod(0o755)  # as root, pgserver runs as a user of its own
        server = pgserver.get_server(folder, cleanup_mode="stop")
        stack.callback(server.cleanup)
        url = server.get_uri()

        def fresh(name: str) -> str:
            engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            engine.dispose()
            return url.replace("/postgres?", f"/{name}?")

        yield fresh


LEASED = "PostgreSQL leased"
DATABASES = {"SQLite": sqlite, "PostgreSQL": postgresql, LEASED: postgresql}
MODES = {LEASED: {"CACHE_MODE": "leased", "CACHE_HOSTS": "one"}}


def mode(database: str) -> dict[str, str]:
    """How Broadsheet's cache learns what is current there, as settings."""
    return MODES.get(database, {})
