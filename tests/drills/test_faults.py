"""What fails for a while, one by one and at random: nothing is lost, and the API's clients notice nothing.

Here the short forms of a few; `make drills` has all of them, at full length.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time

import psutil
import pytest

from tests.drills.drill import FULL, judge
from tests.servers import Redis

AWAY_SECONDS = 60 if FULL else 3
HUNG_SECONDS = 30 if FULL else 3
CHAOS_SECONDS = 60 if FULL else 8
SEEDS = (1, 2, 3) if FULL else (1,)
WRITING_SECONDS = 10 if FULL else 2
CHILDREN = 2  # of a worker; each may stand between the mail server's 250 and the commit
BOTH = pytest.mark.parametrize("protected", [True, False], ids=["protected", "unprotected"])
CONTROLLED_AT_LENGTH = BOTH if FULL else pytest.mark.parametrize("protected", [True], ids=["protected"])


class Running:
    """Relay and worker of a drill, which break and are there again; and how many children were killed at their work."""

    def __init__(self, one):
        self.one, self.relay, self.worker, self.killed = one, one.relay(), one.worker(), 0
        one.begin()
        time.sleep(1)
        one.injected()

    def relay_is_killed(self):
        self.relay.kill_group()
        self.relay = self.one.relay()

    def worker_is_killed(self):
        self.worker.kill_group()
        self.killed += CHILDREN
        self.worker = self.one.worker()

    def child_is_killed(self):
        """Its parent starts another, which has the time to begin something."""
        psutil.Process(self.worker.pid).children()[0].kill()
        self.killed += 1
        time.sleep(1)

    def worker_is_ended(self):
        """As by a deployment: SIGTERM, with the work begun finished or given back."""
        self.worker.popen.terminate()
        self.worker.popen.wait(35)
        self.killed += CHILDREN  # whatever takes longer than it may is killed
        self.worker = self.one.worker()

    def broker_loses_all(self):
        """While no worker takes anything from it: so there is something to lose."""
        self.worker.kill_group()
        self.killed += CHILDREN
        time.sleep(1)
        self.one.broker.client.flushall()
        self.worker = self.one.worker()

    def broker_is_killed(self):
        self.one.broker.popen.kill()
        self.one.broker.popen.wait()
        time.sleep(1)
        self.one.broker = Redis(folder=self.one.broker.folder)

    def broker_hangs(self):
        self.one.broker.popen.send_signal(signal.SIGSTOP)
        time.sleep(HUNG_SECONDS)
        self.one.broker.popen.send_signal(signal.SIGCONT)


def broken(drill, protected, *faults):
    """Each of these in turn, while somebody writes."""
    with drill(", ".join(fault.__name__.replace("_", " ") for fault in faults), protected) as one:
        running = Running(one)
        for fault in faults:
            fault(running)
        time.sleep(WRITING_SECONDS)
        judge(one, protected, running.killed)


@BOTH
@pytest.mark.parametrize("seed", SEEDS)
def test_in_chaos_nothing_is_lost(drill, seed, protected):
    """HARDENING, drill 6. The first fault loses what nothing else would bring back: the control must see it."""
    faults = [fault for name, fault in vars(Running).items() if "_" in name.strip("_")]
    with drill(f"chaos, seed {seed}", protected) as one:
        running, dice, end = Running(one), random.Random(seed), time.monotonic() + CHAOS_SECONDS
        running.broker_loses_all()
        while time.monotonic() < end:
            dice.choice(faults)(running)
            time.sleep(dice.uniform(0, 2))
        one.injected()  # the last of them
        time.sleep(WRITING_SECONDS)
        judge(one, protected, running.killed)


@CONTROLLED_AT_LENGTH
def test_a_mail_server_that_is_away_for_a_while_costs_no_mail(drill, mail_server, protected):
    with drill(f"mail server away for {AWAY_SECONDS} s", protected) as one:
        Running(one)
        mail_server.go_away()
        try:
            time.sleep(AWAY_SECONDS)
        finally:
            mail_server.come_back()
        time.sleep(WRITING_SECONDS)
        judge(one, protected)


@CONTROLLED_AT_LENGTH
def test_a_mail_server_that_hangs_at_some_mails_costs_none(drill, mail_server, protected):
    """After DATA: nobody knows whether it was taken. It was not."""
    hung = set()

    async def hang(port, address):
        if len(hung) < 3:
            hung.add(port)
            await asyncio.sleep(3600)

    with drill("mail server hangs after DATA", protected) as one:
        one.environ |= {} if FULL else {"DRILL_SMTP_TIMEOUT": "1"}
        mail_server.before_taking = hang
        Running(one)
        time.sleep(WRITING_SECONDS)
        judge(one, protected)


if FULL:  # the chaos of the short form has each of them too

    @BOTH
    def test_a_child_that_is_killed_loses_nothing(drill, mail_server, protected):
        """While a mail is on its way, as nearly always here: who does nothing has nothing to lose."""

        async def think(port, address):
            await asyncio.sleep(0.15)

        mail_server.before_taking = think
        broken(drill, protected, *[Running.child_is_killed] * 5)

    @BOTH
    def test_a_broker_that_forgets_everything_loses_nothing(drill, protected):
        broken(drill, protected, Running.broker_loses_all)

    def test_a_broker_that_hangs_loses_nothing(drill):
        """It would lose nothing without us either: what must not wait is the API."""
        broken(drill, True, Running.broker_hangs)

    def test_a_worker_that_is_ended_at_its_work_loses_nothing(drill):
        """It gives back what it has not done, to a broker that is there."""
        broken(drill, True, Running.worker_is_ended)
