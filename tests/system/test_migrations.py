"""Migrations go both ways, on both databases, and lose no row that they need not lose."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from app.caching import triggers
from tests.conftest import fresh_database
from tests.servers import ROOT

USER = """INSERT INTO users (username, username_key, password_hash, role, created_at)
    VALUES ('alice', 'alice', 'x', 'user', '2026-01-01')"""
POST = """INSERT INTO posts (user_id, title, content, category, created_at, updated_at)
    SELECT id, 'Kept', 'x', 'news', created_at, created_at FROM users"""


@pytest.fixture
def migrate(environ, tmp_path):
    """migrate("upgrade"), migrate("downgrade", "0002"): as an operator does, on a database of its own."""
    with fresh_database("migrations", tmp_path) as url:

        def run(*arguments):
            command = [sys.executable, "-m", "flask", "--app", "app", "db", *arguments]
            given = {"PATH": os.environ["PATH"]} | environ | {"DATABASE_URL": url}
            done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr

        run.url = make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
        yield run


@pytest.fixture
def connected(migrate):
    """connected(): a new connection to that database, in a transaction that is committed."""
    engine = create_engine(migrate.url)
    yield lambda: engine.begin()
    engine.dispose()


def test_a_step_back_and_forth_keeps_what_both_releases_know(migrate, connected):
    migrate("upgrade")
    with connected() as connection:
        connection.execute(text(USER))
        connection.execute(text(POST))
    migrate("downgrade", "0002")
    with connected() as connection:
        columns = {column["name"] for table in ("users", "posts") for column in inspect(connection).get_columns(table)}
        assert not columns & {"display_name", "bio", "avatar_url", "deleted_by", "draft", "summary", "byline"}
        assert not {"follows", "post_tags", "imported"} & set(inspect(connection).get_table_names())
        # The older release writes: no trigger may speak of a column that is gone.
        connection.execute(text("UPDATE users SET username = 'alicia'"))
        connection.execute(text("UPDATE posts SET content = 'y'"))
    migrate("upgrade")
    with connected() as connection:
        assert connection.execute(text("SELECT title, content, draft FROM posts")).all() == [("Kept", "y", False)]
        assert triggers.faults(connection) == []
