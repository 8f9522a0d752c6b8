"""Celery's shells: a task for each subscriber's name in `app/events.py`. Each takes ids and may run twice."""

from __future__ import annotations

from typing import Any

from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure, worker_process_init
from flask import Flask

from app.extensions import celery, db
from app.services import outbox
from app.tasks import digests, notify, qos, reminders, retention, statistics, webhooks  # noqa: F401  (they register tasks)
from app.tasks.delivery import ContextTask
from app.tasks.settings import celery_settings


def init_app(app: Flask) -> None:
    """Bind Celery to the app, whose settings it takes."""
    qos.install()
    ContextTask.flask_app = app
    celery.conf.update(celery_settings(app.config["BROKER_URL"], app.config["BROKER_SENTINEL_MASTER"]))
    celery.set_default()
    app.extensions["celery"] = celery


@task_failure.connect
def note_lost_worker(exception: BaseException, args: tuple[int, ...], **_: Any) -> None:
    """A child that was killed can note nothing: its parent does. The connection is not for later children.

    What beat asks for has no arguments, and no message.
    """
    if args and isinstance(exception, (WorkerLostError, TimeLimitExceeded)):
        message_id, attempts = args
        with ContextTask.flask_app.app_context():
            outbox.fail(message_id, attempts + 1, exception)
            db.session.remove()
            db.engine.dispose()


@worker_process_init.connect
def forget_inherited_connections(**_: Any) -> None:
    """A forked child must not speak on its parent's connections, nor close them."""
    with ContextTask.flask_app.app_context():
        db.engine.dispose(close=False)
