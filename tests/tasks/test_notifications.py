"""Never lost, harmless twice: relay, worker and mail server are real, and each of them fails (HARDENING, drills)."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select

from app.extensions import db
from app.models import Notification, OutboxMessage, User
from app.models.base import now
from tests.conftest import BACKEND
from tests.servers import wait_for
from tests.tasks.conftest import PAST, delivering
from tests.tasks.mail_server import CERTIFICATE, USER

POST = {"title": "A title", "content": "Some words."}
AUTHOR, ADMIN = "author@example.org", "ada@example.org"
MESSAGES = 6  # of one post: for author, followers, admins and webhooks, and a mail to author and Ada
BOTH = [("ada", "new_post"), ("author", "post_published")]


@pytest.fixture(scope="module")
def delivery(environ, app, mail_server):
    """The two processes, sending mail over STARTTLS with a login."""
    with delivering({**environ, "SMTP_URL": mail_server.url, "SSL_CERT_FILE": str(CERTIFICATE)}) as running:
        yield running


@pytest.fixture
def write_post(delivery, make_user, as_user):
    """write_post(): the author writes, and Ada, an admin, is to hear of it."""
    author = as_user(make_user(username="author"))
    make_user(username="ada", role="admin")

    def write() -> None:
        assert author.post("/api/v1/posts", json=POST).status_code == 201

    return write


@pytest.fixture
def mail_to(app):
    """mail_to(address): the outbox's message of the mail to that address, as it is now; None: it is not there yet."""

    def find(address: str) -> OutboxMessage | None:
        due = select(Notification.id).join(User, User.id == Notification.user_id)
        with app.app_context():
            ids = db.session.scalars(due.where(Notification.channel == "mail", User.email == address)).all()
            mails = db.session.scalars(select(OutboxMessage).where(OutboxMessage.subscriber == "send_mail"))
            return next((mail for mail in mails if mail.ids["notification_id"] in ids), None)

    return find


@pytest.fixture
def failed(mail_to):
    """failed(address): wait for an attempt at the mail to that address to fail; its message."""

    def wait(address: str) -> OutboxMessage:
        wait_for(lambda: (mail := mail_to(address)) and mail.last_error)
        return mail_to(address)

    return wait


@pytest.fixture
def last_attempt(sql):
    """last_attempt(message): the next one will be its eighth, at once."""

    def prepare(message: OutboxMessage) -> None:
        sql(f"UPDATE outbox SET attempts = 7, next_attempt_at = '{PAST}' WHERE id = :id", id=message.id)

    return prepare


def test_mail_goes_over_tls_with_a_login_under_a_fixed_name(write_post, delivered, mail_server, mail_to):
    write_post()
    delivered(MESSAGES)
    assert set(mail_server.logins) == {USER.encode()}
    for address in (AUTHOR, ADMIN):
        (mail,) = mail_server.to(address)
        message = mail_to(address)
        # the event's id, which all that it led to shares, is in the name: two databases never make the same one
        assert mail["Message-ID"].startswith(f"<{message.ids['notification_id']}.")
        assert mail["Message-ID"].endswith("@localhost.localdomain>")
        assert mail["Auto-Submitted"] == "auto-generated"


def test_delivered_twice_there_is_one_row_and_one_mail(write_post, delivered, mail_server, inbox, sql):
    write_post()
    delivered(MESSAGES)
    sql(f"UPDATE outbox SET done_at = NULL, next_attempt_at = '{PAST}'")
    delivered(MESSAGES)
    assert sql("SELECT DISTINCT attempts FROM outbox") == [(2,)], "each ran again"
    assert inbox() == BOTH
    assert (len(mail_server.to(AUTHOR)), len(mail_server.to(ADMIN))) == (1, 1)


def test_followers_hear_of_a_post_once_even_an_admin_who_follows(
    write_post, delivered, mail_server, inbox, sql, make_user
):
    """Whoever is told twice by one event has one row and one mail."""
    make_user(username="fan", email="fan@example.org")
    make_user(username="stranger")
    for name in ("fan", "ada"):
        sql(f"INSERT INTO follows (follower_id, followed_id, created_at) SELECT f.id, a.id, f.created_at "
            f"FROM users f, users a WHERE f.username = '{name}' AND a.username = 'author'")  # fmt: skip
    write_post()
    delivered(MESSAGES + 1)
    assert inbox() == sorted([*BOTH, ("fan", "new_post")])
    assert [len(mail_server.to(address)) for address in (AUTHOR, ADMIN, "fan@example.org")] == [1, 1, 1]


def test_a_mail_that_is_refused_is_sent_later_and_stops_nobody_else(
    write_post, delivered, mail_server, inbox, mail_to, failed
):
    mail_server.refused.add(ADMIN)
    write_post()
    mail = failed(ADMIN)
    assert (mail.attempts, mail.done_at, mail.dead_at) == (1, None, None)
    assert "451" in mail.last_error
    assert mail.next_attempt_at > now()
    wait_for(lambda: mail_server.to(AUTHOR))
    assert inbox() == BOTH
    mail_server.refused.clear()
    delivered(MESSAGES)
    assert len(mail_server.to(ADMIN)) == 1
    assert "451" in mail_to(ADMIN).last_error, "what went wrong stays to be read"


def test_after_eight_attempts_it_is_given_up(write_post, mail_server, mail_to, failed, last_attempt, lapse):
    mail_server.refused.add(ADMIN)
    write_post()
    last_attempt(failed(ADMIN))
    wait_for(lambda: mail_to(ADMIN).dead_at)
    mail_server.refused.clear()
    lapse()
    time.sleep(0.6)  # two polls
    mail = mail_to(ADMIN)
    assert (mail.attempts, mail.done_at) == (8, None)
    assert mail_server.to(ADMIN) == []


def test_a_task_that_kills_its_worker_is_tried_again_and_then_given_up(
    delivery, write_post, mail_server, mail_to, failed, last_attempt
):
    """TRAPS 40: such a task once ran 101 times in 20 s."""

    async def kill(port: int, address: str) -> None:
        for child in delivery.children() if address == AUTHOR else ():
            if any(connection.laddr.port == port for connection in child.net_connections("tcp")):
                child.kill()

    mail_server.before_taking = kill
    write_post()
    mail = failed(AUTHOR)
    assert (mail.attempts, mail.done_at, mail.dead_at) == (1, None, None)
    assert "SIGKILL" in mail.last_error
    assert mail.next_attempt_at > now()
    last_attempt(mail)
    wait_for(lambda: mail_to(AUTHOR).dead_at)
    assert mail_to(AUTHOR).attempts == 8
    assert len(mail_server.to(ADMIN)) == 1
    first, second = mail_server.to(AUTHOR)
    assert first["Message-ID"] == second["Message-ID"], "who got it twice can tell"


def test_the_broker_may_die_with_a_mail_on_its_way(delivery, write_post, delivered, mail_server, mail_to, inbox, sql):
    """TRAPS 37, 38: a write does not notice, the worker lives, and the mail is not sent a second time."""
    on_its_way = []

    async def wait_for_the_worst(port: int, _: str) -> None:
        on_its_way.append(port)
        await asyncio.sleep(2.5)

    mail_server.before_taking = wait_for_the_worst
    write_post()
    wait_for(lambda: len(on_its_way) == 2)
    delivery.broker.popen.kill()
    delivery.broker.popen.wait()
    write_post()
    wait_for(lambda: "the broker does not answer" in delivery.relay.output)
    wait_for(lambda: len(mail_server.messages) == 2)
    mail_server.before_taking = None
    delivery.restart_broker()
    delivered(2 * MESSAGES, 90)  # what waited in it for a child is published again when its lease has lapsed
    assert inbox() == sorted(2 * BOTH)
    assert (len(mail_server.to(AUTHOR)), len(mail_server.to(ADMIN))) == (2, 2)
    assert sql("SELECT DISTINCT attempts, last_error FROM outbox") == [(1, None)]


@pytest.mark.skipif(BACKEND == "sqlite", reason="SQLite has no server that could leave")
def test_the_database_may_hang_up_on_everybody(delivery, write_post, delivered, mail_server, inbox, sql):
    write_post()
    delivered(MESSAGES)
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()")  # fmt: skip
    write_post()
    delivered(2 * MESSAGES)
    assert inbox() == sorted(2 * BOTH)
    assert len(mail_server.messages) == 4
    assert delivery.relay.popen.poll() is None
    assert delivery.worker.popen.poll() is None
