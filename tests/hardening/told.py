"""What `make run` serves, telling in each answer the names of what the request carried."""

from __future__ import annotations

from typing import Any

from processes.web import supervised_app


def create_app() -> Any:
    """The app of a server that a test asks what its requests carry."""
    app = supervised_app()
    inner = app.wsgi_app

    def telling(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Environ", ",".join(environ))], *rest)

        return inner(environ, start)

    app.wsgi_app = telling
    return app
