"""What granian's workers load: each ends when granian's master does."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from processes.tether import tie_to_parent


def tutorial() -> Any:
    """The tutorial's way."""
    _tie()
    from benchmarks.tutorial.app import create_app

    return create_app()


def uncached() -> Any:
    """Broadsheet, every answer of which is computed: nobody waits for what another computes either.

    Together with CACHE_TYPE=NullCache and CACHE_NEAR_BYTES=0, under which nothing is kept. All else of a miss is done.
    """
    _tie()
    from app import create_app

    app = create_app(os.environ)
    app.extensions["coherence"].flights = SimpleNamespace(join=lambda key, compute: compute())
    return app


def plain() -> Any:
    """Broadsheet without what its writes do for its caches and for others: no message, and in direct mode no wait.

    Who measures takes the triggers away; then nothing is kept either.
    """
    _tie()
    from app import create_app
    from app.services import posts

    posts.emit = lambda event: None
    return create_app(os.environ)


def bare() -> Any:
    """The answer in the file ANSWER, its headers as JSON in the first line, and nothing else: the most that any WSGI
    application can do on this server.
    """
    _tie()
    first, _, body = Path(os.environ["ANSWER"]).read_bytes().partition(b"\n")
    headers = [(name, value) for name, value in json.loads(first)]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return [body]

    return app


def rival() -> Any:
    """FastAPI."""
    _tie()
    from benchmarks.rival import create_app

    return create_app()


def _tie() -> None:
    if master := multiprocessing.parent_process():
        tie_to_parent(master.pid or 0)
