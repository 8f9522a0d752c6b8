"""`flask outbox …`"""

from __future__ import annotations

from app.events import PostPublished, emit
from app.services.atomic import atomic


def test_status_counts_what_waits_is_done_and_is_given_up(app, run, sql):
    assert run("outbox", "status") == "waiting  0\ndone     0\ndead     0\n"
    with app.app_context():
        for id in (1, 2, 3):
            with atomic():
                emit(PostPublished(id))
    first, second = (row[0] for row in sql("SELECT id FROM outbox ORDER BY id LIMIT 2"))
    sql("UPDATE outbox SET done_at = created_at WHERE id = :id", id=first)
    sql("UPDATE outbox SET dead_at = created_at WHERE id = :id", id=second)
    assert run("outbox", "status") == "waiting  7\ndone     1\ndead     1\n"


def test_replay_lets_what_was_given_up_begin_anew(app, run, sql):
    with app.app_context(), atomic():
        emit(PostPublished(1))
    sql("UPDATE outbox SET dead_at = created_at, attempts = 8")
    assert run("outbox", "replay") == "3 messages begin anew\n"
    assert run("outbox", "status") == "waiting  3\ndone     0\ndead     0\n"
