"""granian, once the database is migrated: `python -m processes.web …`. What follows are granian's own arguments.

The application's modules are imported once, before the migration and the workers are forked from here: a worker that
has died is replaced at once, and the workers share their memory.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import Any

from granian.cli import entrypoint

from processes.speech import UP_TO_DATE
from processes.tether import tie_to_parent


def supervised_app() -> Any:
    """The WSGI application in a worker, which ends when granian's master does (`--factory`)."""
    if master := multiprocessing.parent_process():
        tie_to_parent(master.pid or 0)
    from run import app  # only here: what it opens must not be shared by a fork

    return app


def supervised_stream() -> Any:
    """The ASGI application of the live stream in a worker of a granian of its own, which ends when its master does."""
    if master := multiprocessing.parent_process():
        tie_to_parent(master.pid or 0)
    from app.streaming import create

    return create()


def migrate(master: int) -> None:
    """Bring the database up to date, in a process of its own for the same reason."""
    tie_to_parent(master)
    from flask_migrate import upgrade

    from app import create_app, metrics

    app = create_app()
    metrics.forget(app.config["METRICS_DIR"])
    with app.app_context():
        upgrade()


def main() -> None:
    """Import, migrate, serve."""
    import app  # noqa: F401  (so that all that is forked from here has it)

    migration = multiprocessing.get_context("fork").Process(target=migrate, args=(os.getpid(),))
    migration.start()
    migration.join()
    if migration.exitcode:
        sys.exit("DATABASE_URL: the database could not be migrated, see above")
    sys.stdout.write(f"{UP_TO_DATE}\n")
    sys.stdout.flush()
    entrypoint()


if __name__ == "__main__":
    main()
