"""What has happened to an account or a post, and what its user is told of it."""

from __future__ import annotations

import pytest

from app import tasks
from app.extensions import celery
from tests.factories import PASSWORD

ROWS = """SELECT u.username, n.kind, n.channel FROM notifications n JOIN users u ON u.id = n.user_id
    ORDER BY u.username, n.channel"""
NEW = "staple correct horse"


@pytest.fixture
def perform(app, sql):
    """perform(): run what is due, and what follows from that."""
    tasks.init_app(app)

    def run() -> None:
        while due := sql("SELECT id, subscriber FROM outbox WHERE attempts = 0 ORDER BY id"):
            for id, subscriber in due:
                celery.tasks[subscriber].apply(args=[id, 0], throw=True)

    return run


@pytest.fixture
def letters(monkeypatch):
    """The (address, subject) of each mail that went out."""
    sent = []
    monkeypatch.setattr("app.services.mail.send", lambda address, subject, *_: sent.append((address, subject)))
    return sent


@pytest.fixture
def told(perform, letters, sql):
    """told(): after all is delivered, (name, kind, channel) of all that people were told."""

    def rows() -> list[tuple[str, str, str]]:
        perform()
        assert sql("SELECT count(*) FROM outbox WHERE done_at IS NULL OR last_error IS NOT NULL") == [(0,)]
        return [tuple(row) for row in sql(ROWS)]

    return rows


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def hers(alice, as_user):
    return as_user(alice, "v2")


def change_password(client):
    return client.post("/api/v2/auth/password", json={"current_password": PASSWORD, "password": NEW})


def test_who_registers_is_welcomed(client, told, letters):
    new = {"username": "bob", "password": PASSWORD, "email": "bob@example.org"}
    assert client.post("/api/v1/users", json=new).status_code == 201
    assert told() == [("bob", "welcome", "inbox"), ("bob", "welcome", "mail")]
    assert letters == [("bob@example.org", "Welcome, bob")]


def test_a_registration_that_fails_welcomes_nobody(client, alice, sql):
    assert client.post("/api/v1/users", json={"username": "alice", "password": PASSWORD}).status_code == 400
    assert sql("SELECT * FROM outbox") == []


def test_who_has_no_address_is_told_in_the_inbox_alone(make_user, as_user, told, letters):
    assert change_password(as_user(make_user(username="mute", email=None), "v2")).status_code == 200
    assert told() == [("mute", "password_changed", "inbox")]
    assert letters == []


def test_who_changes_his_password_is_told_in_the_inbox_and_by_mail(hers, told, letters):
    assert change_password(hers).status_code == 200
    assert told() == [("alice", "password_changed", "inbox"), ("alice", "password_changed", "mail")]
    assert letters == [("alice@example.org", "Your password was changed")]


def test_a_warning_stands_in_line_behind_no_other_mail(hers, perform, letters, sql):
    assert change_password(hers).status_code == 200
    perform()
    ((warned,),) = sql("SELECT subscriber FROM outbox WHERE event = 'Warned'")
    queues = [celery.amqp.router.route({}, name)["queue"].name for name in (warned, "send_mail", "send_digest")]
    assert queues == ["urgent", "mail", "mail"]


def test_whose_password_an_admin_changes_is_told_even_where_the_account_is_shut(
    make_user, as_user, alice, told, letters, sql
):
    """HARDENING C3: a mail about security goes out, whatever else is switched off."""
    root = as_user(make_user(role="admin"))
    assert root.put(f"/api/v1/users/{alice.id}", json={"password": NEW}).status_code == 200
    sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=alice.id)
    assert told() == [("alice", "password_changed", "inbox"), ("alice", "password_changed", "mail")]
    assert letters == [("alice@example.org", "Your password was changed")]


def test_a_password_that_was_not_changed_is_no_news(hers, sql):
    wrong = {"current_password": "not hers at all", "password": NEW}
    assert hers.post("/api/v2/auth/password", json=wrong).status_code == 422
    assert hers.patch("/api/v2/me", json={"bio": "Writes about trains."}).status_code == 200
    assert sql("SELECT * FROM outbox") == []


def test_who_is_followed_sees_by_whom_and_gets_no_mail(hers, make_user, as_user, alice, told, letters):
    bob = make_user(username="bob")
    assert as_user(bob, "v2").put(f"/api/v2/users/{alice.id}/follow").status_code == 204
    assert told() == [("alice", "new_follower", "inbox")]
    (item,) = hers.get("/api/v2/notifications").json["items"]
    assert (item["kind"], item["actor_id"], item["post"]) == ("new_follower", bob.id, None)
    assert letters == []


def test_who_leaves_and_comes_back_is_told_of_once(make_user, as_user, alice, told):
    bob = as_user(make_user(username="bob"), "v2")
    for _ in range(3):
        bob.put(f"/api/v2/users/{alice.id}/follow")
        bob.put(f"/api/v2/users/{alice.id}/follow")
        bob.delete(f"/api/v2/users/{alice.id}/follow")
    assert told() == [("alice", "new_follower", "inbox")]


def test_whose_post_an_admin_deletes_is_told_its_title_by_mail(make_user, as_user, alice, make_post, told, letters):
    root = as_user(make_user(role="admin"), "v2")
    assert root.delete(f"/api/v2/posts/{make_post(alice, title='Gone').id}").status_code == 204
    assert told() == [("alice", "post_deleted", "inbox"), ("alice", "post_deleted", "mail")]
    assert letters == [("alice@example.org", "Your post was deleted: Gone")]


@pytest.mark.parametrize("change", ["deletes it", "makes it a draft"])
def test_nobody_is_told_of_a_post_that_is_gone_by_then(hers, make_user, as_user, alice, told, change):
    """Not its author, nor his followers, nor the admins: the inbox has what can be read."""
    fan = as_user(make_user(username="fan"), "v2")
    fan.put(f"/api/v2/users/{alice.id}/follow")
    make_user(username="root", role="admin")
    before = told()
    url = f"/api/v2/posts/{hers.post('/api/v2/posts', json={'title': 'One', 'content': 'Words'}).json['id']}"
    answer = hers.delete(url) if change == "deletes it" else hers.patch(url, json={"draft": True})
    assert answer.status_code in (200, 204)
    assert told() == before


def test_who_deletes_his_own_post_knows_it(hers, alice, make_post, sql):
    assert hers.delete(f"/api/v2/posts/{make_post(alice).id}").status_code == 204
    assert sql("SELECT * FROM outbox") == []
