"""The shells: a task takes ids, has a session of its own, and notes its end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from celery.exceptions import SoftTimeLimitExceeded, WorkerLostError
from flask import current_app, has_app_context

from app import tasks
from app.events import PostPublished, emit
from app.extensions import celery, db
from app.services.atomic import atomic
from tests.servers import ROOT


@pytest.fixture
def perform(app, sql):
    """perform(event): run its tasks and those that follow from them, one after the other, each for the first time."""
    tasks.init_app(app)  # Celery belongs to the app that was made last: one app a process

    def run(event) -> None:
        with app.app_context(), atomic():
            emit(event)
        while due := sql("SELECT id, subscriber FROM outbox WHERE attempts = 0 ORDER BY id"):
            for id, subscriber in due:
                celery.tasks[subscriber].apply(args=[id, 0], throw=True)

    return run


@pytest.fixture
def sent(monkeypatch):
    """The addresses that mail went to; `sent.during` is called while it does."""

    class Sent(list):
        during = staticmethod(lambda: None)

    mails = Sent()

    def send(address: str, *_: object) -> None:
        mails.during()
        mails.append(address)

    monkeypatch.setattr("app.services.mail.send", send)
    return mails


@pytest.fixture
def post(make_user, make_post):
    """A post of the author's, who is told in two channels."""
    make_user(username="ada", role="admin")
    return make_post(make_user(username="author"))


def test_each_task_has_a_context_and_a_session_of_its_own(app, perform, post, sent):
    seen = []
    sent.during = lambda: seen.append((current_app._get_current_object(), db.session()))
    perform(PostPublished(post.id))
    (first_app, first), (second_app, second) = seen
    assert first_app is second_app is app
    assert first is not second
    assert not has_app_context()


def test_what_one_task_has_read_is_not_what_the_next_one_sees(perform, post, sent, sql, inbox):
    """An identity map that outlives its task shows the role of before (TRAPS 45)."""
    perform(PostPublished(post.id))
    sql("UPDATE users SET role = 'user', email = 'moved@example.org'")
    perform(PostPublished(post.id))
    assert inbox() == [("ada", "new_post"), ("author", "post_published"), ("author", "post_published")]
    assert sent == ["author@example.org", "ada@example.org", "moved@example.org"]


def test_no_transaction_is_open_while_the_mail_server_thinks(app, perform, post, sent):
    sent.during = lambda: checked_out.append(db.engine.pool.checkedout())
    checked_out = []
    perform(PostPublished(post.id))
    with app.app_context():
        checked_out.append(db.engine.pool.checkedout())
    assert checked_out == [0, 0, 0], "nor afterwards"


def test_an_error_is_noted_and_raised_to_nobody(perform, post, sent, sql):
    sent.during = lambda: 1 / 0
    perform(PostPublished(post.id))
    failed = "SELECT subscriber, last_error FROM outbox WHERE done_at IS NULL"
    assert sql(failed) == [("send_mail", "ZeroDivisionError('division by zero')")] * 2


def test_the_soft_time_limit_is_an_error_like_others(perform, post, sent, sql):
    def dawdle():
        raise SoftTimeLimitExceeded

    sent.during = dawdle
    perform(PostPublished(post.id))
    assert sql("SELECT DISTINCT last_error FROM outbox WHERE done_at IS NULL") == [("SoftTimeLimitExceeded()",)]


def test_a_worker_that_is_lost_with_what_beat_asked_for_is_no_error(app, caplog):
    tasks.init_app(app)
    tasks.note_lost_worker(exception=WorkerLostError(), args=[])
    assert caplog.records == []


@pytest.mark.parametrize("change", ["deleted_at = created_at", "email = NULL"])
def test_who_leaves_or_takes_his_address_away_before_the_mail_gets_none(perform, post, sent, sql, change):
    sent.during = lambda: sql(f"UPDATE users SET {change}")  # while the first mail is on its way, before the second
    perform(PostPublished(post.id))
    assert sent == ["author@example.org"]
    assert sql("SELECT count(*) FROM outbox WHERE done_at IS NULL OR last_error IS NOT NULL") == [(0,)]


def test_what_is_gone_is_no_error(perform, sent, sql, inbox):
    perform(PostPublished(10**9))
    assert inbox() == []
    assert sent == []
    assert sql("SELECT count(*) FROM outbox WHERE done_at IS NULL OR last_error IS NOT NULL") == [(0,)]


def test_a_worker_with_a_weak_secret_says_so_in_one_line():
    command = [sys.executable, "-m", "celery", "-A", "celery_worker.celery", "worker"]
    environ = {"PATH": os.environ["PATH"], "SECRET_KEY": "weak"}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("SECRET_KEY: ")
    assert ended.stderr.count("\n") == 1
