"""Whatever dies, each acknowledged post is told of: once in the inbox, and by mail once more for each worker at most.

Each drill has its control: with the outbox's lease switched off, the same fault loses something.
"""

from __future__ import annotations

import time

import pytest

from tests.drills.drill import FULL, judge
from tests.servers import Redis, wait_for

BROKER_SECONDS = 10 if FULL else 3
WRITING_SECONDS = 10 if FULL else 2
BOTH = pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])


@BOTH
def test_a_relay_that_dies_between_two_messages_loses_none(drill, protected):
    with drill("relay killed after publishing", protected) as one:
        one.worker()
        relay = one.relay("after publishing")
        one.begin()
        wait_for(lambda: relay.popen.poll() is not None)
        one.injected()
        one.relay()
        time.sleep(WRITING_SECONDS)
        judge(one, protected)


@pytest.mark.parametrize(
    ("fault", "protected", "mail_duplicates"),
    [
        ("before the commit", True, 0),
        ("before the stamp", True, 0),
        ("after the 250", True, 2),
        ("before the commit", False, 0),
    ],
)  # fmt: skip  (two: each of a worker's two children may stand between the mail server's 250 and the commit)
def test_a_worker_that_is_killed_at_its_work_loses_nothing(drill, fault, protected, mail_duplicates):
    with drill(f"worker killed {fault}", protected) as one:
        one.relay()
        worker = one.worker(fault)
        one.begin()
        wait_for(lambda: worker.popen.poll() is not None)
        one.injected()
        one.worker()
        time.sleep(WRITING_SECONDS)
        judge(one, protected, mail_duplicates)


@BOTH
def test_a_broker_that_is_away_and_comes_back_empty_loses_nothing(drill, protected):
    with drill(f"broker away for {BROKER_SECONDS} s", protected) as one:
        one.relay()
        one.worker()
        one.begin()
        time.sleep(1)
        one.injected()
        one.broker.popen.kill()
        one.broker.popen.wait()
        time.sleep(BROKER_SECONDS)
        one.broker = Redis(folder=one.broker.folder)
        time.sleep(WRITING_SECONDS)
        judge(one, protected)
