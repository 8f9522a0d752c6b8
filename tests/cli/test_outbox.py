"""`flask outbox …`"""

from __future__ import annotations

import pytest

from app.events import Notified, PostPublished, emit
from app.services.atomic import atomic

GIVEN_UP = "UPDATE outbox SET dead_at = created_at, attempts = 8, last_error = 'OSError(''no\nway'')' WHERE id = :id"


@pytest.fixture
def dead(app, sql):
    """The ids of three messages, of which the last two were given up."""
    with app.app_context(), atomic():
        for id in (1, 2, 3):
            emit(Notified(id))
    waiting, *given_up = ids = [row[0] for row in sql("SELECT id FROM outbox ORDER BY id")]
    for id in given_up:
        sql(GIVEN_UP, id=id)
    return ids


def test_status_counts_what_waits_is_done_and_is_given_up(app, run, sql):
    assert run("outbox", "status") == "waiting  0\ndone     0\ndead     0\noldest   0 s\n"
    with app.app_context():
        for id in (1, 2, 3):
            with atomic():
                emit(PostPublished(id))
    first, second = (row[0] for row in sql("SELECT id FROM outbox ORDER BY id LIMIT 2"))
    sql("UPDATE outbox SET done_at = created_at WHERE id = :id", id=first)
    sql("UPDATE outbox SET dead_at = created_at WHERE id = :id", id=second)
    assert run("outbox", "status").startswith("waiting  10\ndone     1\ndead     1\noldest   ")


def test_dead_names_what_was_given_up_and_why_a_line_each(run, dead):
    _, second, third = dead
    said = "Notified send_mail 8 OSError('no way')"
    assert run("outbox", "dead") == f"{second} {said}\n{third} {said}\n"


def test_dead_names_all_however_many(app, run, sql):
    with app.app_context(), atomic():
        for id in range(1, 102):
            emit(Notified(id))
    sql("UPDATE outbox SET dead_at = created_at")
    assert run("outbox", "dead").count("its worker died\n") == 101


def test_replay_lets_all_that_was_given_up_begin_anew(run, dead):
    assert run("outbox", "replay") == "2 messages begin anew\n"
    assert run("outbox", "dead") == ""


def test_replay_of_one_leaves_the_others(run, dead, sql):
    _, second, third = dead
    assert run("outbox", "replay", str(third)) == "1 messages begin anew\n"
    assert sql("SELECT id FROM outbox WHERE dead_at IS NOT NULL") == [(second,)]
    assert sql("SELECT attempts FROM outbox WHERE id = :id", id=third) == [(0,)]


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_what_was_not_given_up_is_left_as_it_is(refused, dead, sql, command):
    before = sql("SELECT * FROM outbox ORDER BY id")
    assert refused("outbox", command, str(dead[0])) == "No message of this id was given up"
    assert sql("SELECT * FROM outbox ORDER BY id") == before


def test_discard_deletes_one_or_all_that_was_given_up(run, dead, sql):
    first, second, third = dead
    assert run("outbox", "discard", str(second)) == "1 messages are discarded\n"
    assert sql("SELECT id FROM outbox ORDER BY id") == [(first,), (third,)]
    assert run("outbox", "discard", "--all") == "1 messages are discarded\n"
    assert sql("SELECT id FROM outbox") == [(first,)]


@pytest.mark.parametrize("arguments", [(), ("--all", "1")])
def test_discard_wants_to_be_told_which(app, dead, sql, arguments):
    result = app.test_cli_runner().invoke(args=("outbox", "discard", *arguments))
    assert result.exit_code == 2
    assert "Give ids, or --all" in result.stderr
    assert sql("SELECT count(*) FROM outbox") == [(3,)]
