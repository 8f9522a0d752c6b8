"""What the drills share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.drills.drill import Drill
from tests.tasks.conftest import _calm, mail_server  # noqa: F401  (fixtures)


@pytest.fixture
def drill(environ, server, mail_server, make_user, token_of, sql) -> Callable[..., Drill]:  # noqa: F811
    """drill(name, protected): a drill on a server with two processes; its author is known to nobody but one admin."""
    author = make_user(username="author")
    make_user(username="ada", role="admin")

    def make(name: str, protected: bool) -> Drill:
        named = name if protected else f"{name}, unprotected"
        return Drill(named, environ, server.url, token_of(author), mail_server, sql, protected)

    return make
