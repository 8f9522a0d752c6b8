"""The mornings' mails: beat asks each hour whose morning has come, and each of those gets a message of his own."""

from __future__ import annotations

import logging

from celery import shared_task

from app.services import digests
from app.tasks.delivery import ContextTask, delivers

log = logging.getLogger(__name__)
send_digest = delivers(digests.send_digest)


@shared_task(name="send_digests", base=ContextTask)
def send_digests() -> None:
    """Gather what waits for those whose morning has come. Lost or doubled, it does no harm: the next does it all."""
    log.info("%s digests are due", digests.gather())
