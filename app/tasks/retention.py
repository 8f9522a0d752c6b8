"""What beat asks for, every hour."""

from __future__ import annotations

import logging

from celery import shared_task

from app.services import retention
from app.tasks.delivery import ContextTask

log = logging.getLogger(__name__)


@shared_task(name="prune", base=ContextTask)
def prune() -> None:
    """Delete for good what was kept for long enough. Lost or doubled, it does no harm: the next hour's does it all."""
    log.info("deleted for good: %s", ", ".join(f"{number} {table}" for table, number in retention.prune().items()))
