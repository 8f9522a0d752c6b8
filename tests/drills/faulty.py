"""Relay and worker for drills: with a fault in them, with a shorter lease, or without their protection.

DRILL_FAULT: where they kill themselves, with all their children. DRILL_LEASE: seconds; without one, the real lease.
DRILL_SMTP_TIMEOUT, DRILL_CALL: seconds that a mail server and a webhook's call may take; without it, the real ones.
DRILL_UNPROTECTED: what was taken from the outbox is never given back, as if there were no lease: at most once. What
failed is not tried again, and a webhook may think for ever.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from app import relay
from app.services import callouts, mail, notifications, outbox, webhooks
from run import app

celery = app.extensions["celery"]
fault = os.environ.get("DRILL_FAULT")


def killing(work: Callable[..., Any], *, at: int = 1, before: bool = False) -> Callable[..., Any]:
    """The function, whose `at`th call kills this process group: after it has worked, or before."""
    calls = count(1)

    def run(*args: Any, **kwargs: Any) -> Any:
        due = next(calls) == at
        result = None if due and before else work(*args, **kwargs)
        if due:
            os.killpg(0, signal.SIGKILL)
        return result

    return run


if fault == "after publishing":  # the second of a post's three messages; the third is claimed and not published
    celery.send_task = killing(celery.send_task, at=2)
if fault == "before the commit":  # the rows are written, in a transaction
    notifications.emit = killing(notifications.emit)
if fault == "in the middle":  # of many followers: of a process's four messages two at least are steps, the first done
    notifications._claim = killing(notifications._claim, at=8)
if fault == "before the stamp":  # the rows are committed, and the message is not done
    outbox.finish = killing(outbox.finish, before=True)
if fault == "after the 250":  # the mail server has taken it, and nobody knows
    mail.send = killing(mail.send)
if lease := os.environ.get("DRILL_LEASE"):
    relay.MOST_WAITING = round(
        relay.MOST_WAITING * float(lease) / outbox.LEASE.total_seconds()
    )  # done within the lease
    outbox.LEASE = timedelta(seconds=float(lease))
if timeout := os.environ.get("DRILL_SMTP_TIMEOUT"):
    mail.TIMEOUT_SECONDS = float(timeout)
if call := os.environ.get("DRILL_CALL"):
    callouts.SECONDS = float(call)
    webhooks.SLOW_SECONDS = float(call) / 2
if os.environ.get("DRILL_UNPROTECTED"):
    callouts.SECONDS = 86_400
    outbox.LEASE = timedelta(days=1)
    outbox.release = lambda *_: None
    outbox.fail = lambda *_: None
