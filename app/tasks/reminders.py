"""What beat asks for, every minute."""

from __future__ import annotations

import logging

from celery import shared_task

from app.services import reminders
from app.tasks.delivery import ContextTask

log = logging.getLogger(__name__)


@shared_task(name="remind", base=ContextTask)
def remind() -> None:
    """Hand the reminders that are due to the outbox. Lost or doubled, it does no harm: the next does it all."""
    if told := reminders.tell():
        log.info("%s reminders are due", told)
