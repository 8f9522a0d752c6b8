"""Worker entry: `celery -A celery_worker.celery worker -Q notifications,urgent,mail,webhooks,background`."""

import os
from typing import Any

from celery.signals import beat_embedded_init

from run import app

celery = app.extensions["celery"]


@beat_embedded_init.connect
def end_with_the_worker(**_: Any) -> None:
    """The beat inside a worker (`--beat`) would live on when the worker is killed outright."""
    from processes.tether import tie_to_parent  # only here: an image has no processes of its own

    tie_to_parent(os.getppid())
