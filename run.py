"""Broadsheet. `python run.py` starts all of it on this machine; `run:app` is the WSGI application for any server.

Importing this module makes the application and starts nothing.
"""

import sys
from types import SimpleNamespace

from config import ConfigError

try:
    if __name__ == "__main__":
        from processes.start import start

        start()

    from app import create_app

    app = create_app()
    if granian := sys.modules.get("granian.wsgi"):  # it copies our environment, secrets too, into every request's
        granian.os = SimpleNamespace(environ={})  # type: ignore[attr-defined]
except ConfigError as error:
    print(error, file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None
