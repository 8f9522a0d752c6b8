"""What webhooks are told, each call signed, tried again, and logged. Where calls go: test_callouts.py."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest

from app import tasks
from app.extensions import celery, db
from app.models.base import now
from tests.factories import PASSWORD
from tests.servers import ROOT, wait_for
from tests.tasks.conftest import delivering
from tests.tasks.target import OWN, WEBHOOKS, make, pinged

POST = {"title": "A title", "content": "Some words.", "tags": ["trains"]}
ALL = [*OWN, "user.registered"]
VERIFY = re.search(r"```python\n(.*?)```", (ROOT / "docs/webhooks.md").read_text(), re.DOTALL).group(1)
pytestmark = pytest.mark.usefixtures("inside")


def said(target):
    return [(call.json["type"], call.json["data"]) for call in target.calls]


# What they are told


def test_a_webhook_hears_of_its_owners_posts_as_the_api_shows_them(hers, hook, perform, target):
    written = hers.post("/api/v2/posts", json=POST).json
    perform()
    del written["content"], written["draft"]
    assert said(target) == [("post.published", written)]
    assert set(target.calls[0].json) == {"type", "timestamp", "data"}


def test_a_draft_is_told_of_when_it_is_published(hers, hook, perform, target):
    written = hers.post("/api/v2/posts", json=POST | {"draft": True}).json
    perform()
    assert target.calls == []
    hers.patch(f"/api/v2/posts/{written['id']}", json={"draft": False})
    perform()
    assert [type for type, _ in said(target)] == ["post.published"]


def test_a_post_that_is_gone_before_its_event_is_worked_on_is_not_told_of(hers, hook, perform, target):
    written = hers.post("/api/v2/posts", json=POST).json
    hers.delete(f"/api/v2/posts/{written['id']}")
    perform()
    assert target.calls == []


def test_a_webhook_hears_that_an_admin_has_deleted_a_post_of_its_owners(
    hers, hook, root, alice, make_post, perform, target
):
    post = make_post(alice, title="Gone")
    assert root.delete(f"/api/v2/posts/{post.id}").status_code == 204
    perform()
    ((type, data),) = said(target)
    assert (type, data["id"], data["title"], data["author_id"]) == ("post.deleted", post.id, "Gone", alice.id)
    assert data["deleted_at"].endswith("Z")


def test_a_webhook_hears_once_who_follows_its_owner(hook, make_user, as_user, alice, perform, target):
    bob = make_user(username="bob", display_name="Bob B.", email="bob@secret.example")
    client = as_user(bob, "v2")
    for method in ("PUT", "DELETE", "PUT"):
        client.open(f"/api/v2/users/{alice.id}/follow", method=method)
    perform()
    follower = {"id": bob.id, "username": "bob", "display_name": "Bob B.", "avatar_url": None}
    assert said(target) == [("user.followed", {"follower": follower, "followed_id": alice.id})]


def test_an_admins_webhook_of_all_hears_of_everybody(root, client, hers, target, perform):
    make(root, target, ALL, scope="all")
    written = hers.post("/api/v2/posts", json=POST).json
    assert client.post("/api/v2/users", json={"username": "carol", "password": PASSWORD}).status_code == 201
    perform()
    (_, post), (type, person) = said(target)
    assert post["id"] == written["id"]
    assert (type, person["username"]) == ("user.registered", "carol")
    assert set(person) == {"id", "username", "display_name", "avatar_url"}


def test_nobody_hears_of_what_is_anothers_or_was_not_asked_for(hers, root, make_user, as_user, target, perform, alice):
    make(hers, target, ["post.published"])
    make(root, target, OWN)
    bob = as_user(make_user(username="bob"), "v2")
    bob.post("/api/v2/posts", json=POST)
    bob.put(f"/api/v2/users/{alice.id}/follow")
    perform()
    assert target.calls == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE webhooks SET active = false",
        "UPDATE users SET disabled_at = created_at WHERE username = 'root'",
        "UPDATE users SET deleted_at = created_at WHERE username = 'root'",
        "UPDATE users SET role = 'user' WHERE username = 'root'",
    ],
)
@pytest.mark.parametrize("when", ["before the event", "before the call"])
def test_who_may_not_hear_any_more_is_not_called(root, hers, target, perform, sql, change, when, app):
    make(root, target, ALL, scope="all")
    if when == "before the event":
        sql(change)
    hers.post("/api/v2/posts", json=POST)
    if when == "before the call":
        (id,) = sql("SELECT id FROM outbox WHERE subscriber = 'notify_webhooks_of_post'")[0]
        tasks.init_app(app)
        celery.tasks["notify_webhooks_of_post"].apply(args=[id, 0], throw=True)
        sql(change)
    perform()
    assert target.calls == []
    expected = [] if when == "before the event" else [(True, None)]
    assert sql("SELECT failed_at IS NOT NULL, done_at FROM webhook_deliveries") == expected


def test_an_event_that_is_worked_on_twice_is_sent_once(hers, hook, perform, target, sql):
    hers.post("/api/v2/posts", json=POST)
    perform()
    sql("UPDATE outbox SET done_at = NULL, attempts = 0")
    perform()
    assert len(target.calls) == 1
    assert len(sql("SELECT * FROM webhook_deliveries")) == 1


# The call


def test_the_receiver_can_verify_a_call_as_the_page_says(hers, hook, perform, target):
    pinged(hers, hook)
    perform()
    (call,) = target.calls
    assert (call.path, call.headers["content-type"]) == ("/hook", "application/json")
    known: dict = {}
    exec(VERIFY, known)
    known["verify"](hook["secret"], call.headers, call.body)
    old = call.headers | {"webhook-timestamp": str(int(time.time()) - 1000)}
    for headers, body in ((call.headers, call.body + b" "), (old, call.body)):
        with pytest.raises(ValueError, match="not from Broadsheet"):
            known["verify"](hook["secret"], headers, body)
    with pytest.raises(ValueError, match="not from Broadsheet"):
        known["verify"]("whsec_" + "A" * 43 + "=", call.headers, call.body)


def test_each_attempt_has_the_same_id_and_body_and_is_signed_anew(hers, hook, perform, target):
    target.answer(500, 200)
    pinged(hers, hook)
    perform()
    new = hers.post(f"{WEBHOOKS}/{hook['id']}/secret").json["secret"]
    perform(again=True)
    first, second = target.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    known: dict = {}
    exec(VERIFY, known)
    known["verify"](new, second.headers, second.body)


def test_no_transaction_is_open_while_the_target_thinks(app, hers, hook, perform, target):
    checked_out = []

    def look(handler):
        with app.app_context():
            checked_out.append(db.engine.pool.checkedout())
        handler.reply(200)

    target.behave = look
    pinged(hers, hook)
    perform()
    assert checked_out == [0]


def test_what_fails_is_tried_again_and_each_attempt_is_shown(hers, hook, perform, target, delivery, sql):
    target.answer(500, 204, text=b"\xff\0" + b"x" * 70_000)
    pinged(hers, hook)
    perform()
    assert (delivery()["done_at"], len(delivery()["attempts"])) == (None, 1)
    assert sql("SELECT last_error FROM outbox") == [("ConnectionError('Answered 500')",)]
    assert hers.get(f"{WEBHOOKS}/{hook['id']}").json["failing_since"]
    perform(again=True)
    first, second = delivery()["attempts"]
    assert (first["status"], first["error"], first["answer"]) == (500, "Answered 500", "�" + "x" * 4095)
    assert (second["status"], second["error"]) == (204, None)
    assert 0 <= second["ms"] < 5000
    assert delivery()["done_at"]
    assert hers.get(f"{WEBHOOKS}/{hook['id']}").json["failing_since"] is None


def test_after_eight_attempts_a_delivery_has_failed_and_is_nothing_for_the_operator(
    hers, hook, try_often, target, delivery, sql
):
    target.answer(500)
    pinged(hers, hook)
    try_often()
    assert len(target.calls) == 8
    assert delivery()["failed_at"]
    assert sql("SELECT done_at IS NOT NULL, dead_at FROM outbox") == [(True, None)]
    assert hers.get(f"{WEBHOOKS}/{hook['id']}").json["active"] is True


@pytest.mark.parametrize("status", [200, 500])
def test_a_delivery_that_is_begun_anew_is_called_at_once_whatever_came_of_it(
    hers, hook, try_often, perform, target, delivery, status
):
    target.answer(status)
    pinged(hers, hook)
    try_often()
    target.calls.clear()
    target.answer(200)
    assert hers.post(f"{WEBHOOKS}/{hook['id']}/deliveries/{delivery()['id']}/redeliver").status_code == 202
    perform()
    assert len(target.calls) == 1
    assert (delivery()["failed_at"], delivery()["attempts"][-1]["status"]) == (None, 200)


@pytest.mark.parametrize("which", ["ping", "deliveries/{id}/redeliver"])
def test_who_asks_for_a_call_gets_it_at_once_though_the_webhook_rests(
    hers, hook, perform, target, delivery, sql, which
):
    target.answer(500, 200)
    pinged(hers, hook)
    perform()
    sql("UPDATE webhooks SET resting_until = '2999-01-01'")
    hers.post(f"{WEBHOOKS}/{hook['id']}/{which.format(id=delivery()['id'])}")
    perform()
    assert len(target.calls) == 2
    assert delivery()["done_at"]


def test_a_delivery_that_the_outbox_has_given_up_has_failed(hers, hook, perform, delivery, sql):
    """Each attempt has killed its worker, which could note nothing."""
    pinged(hers, hook)
    sql("UPDATE outbox SET attempts = 8")
    perform(again=True)
    assert sql("SELECT dead_at IS NOT NULL FROM outbox") == [(True,)]
    assert delivery()["failed_at"]
    assert hers.get(f"{WEBHOOKS}/{hook['id']}/deliveries?state=waiting").json["items"] == []


def test_a_delivery_that_waits_and_is_begun_anew_is_called_once(hers, hook, perform, target, delivery):
    target.answer(500)
    pinged(hers, hook)
    perform()
    target.calls.clear()
    hers.post(f"{WEBHOOKS}/{hook['id']}/deliveries/{delivery()['id']}/redeliver")
    perform(again=True)
    assert len(target.calls) == 1, "the attempts of the round before are dropped"


def test_who_fails_for_five_days_is_disabled_and_can_be_enabled(hers, hook, try_often, perform, target, sql):
    address = f"{WEBHOOKS}/{hook['id']}"
    target.answer(500)
    pinged(hers, hook)
    perform()
    days = "'2026-01-01'"
    sql(f"UPDATE webhooks SET failing_since = {days}")
    perform(again=True)
    assert hers.get(address).json["active"], "until a delivery has failed at last"
    try_often()
    shown = hers.get(address).json
    assert (shown["active"], shown["disabled_reason"]) == (
        False,
        "No call has succeeded since 2026-01-01T00:00:00.000000Z",
    )
    assert shown["disabled_at"]
    shown = hers.patch(address, json={"active": True}).json
    assert (shown["active"], shown["disabled_at"], shown["disabled_reason"], shown["failing_since"]) == (True,) + (
        None,
    ) * 3
    pinged(hers, hook)


def test_who_has_failed_for_less_is_not_disabled(hers, hook, try_often, target, sql):
    target.answer(500)
    sql("UPDATE webhooks SET failing_since = :at", at=str((now() - timedelta(days=4)).replace(tzinfo=None)))
    pinged(hers, hook)
    try_often()
    assert hers.get(f"{WEBHOOKS}/{hook['id']}").json["active"] is True


@pytest.mark.parametrize("meanwhile", ["its owner enables it", "another call succeeds"])
def test_what_becomes_of_a_webhook_during_a_call_counts_and_not_what_was_before(
    hers, hook, perform, target, sql, meanwhile
):
    def answer(handler):
        if meanwhile == "its owner enables it":
            hers.patch(f"{WEBHOOKS}/{hook['id']}", json={"active": True})
        else:
            sql("UPDATE webhooks SET failing_since = NULL")
        handler.reply(500)

    target.behave = answer
    pinged(hers, hook)
    sql("UPDATE webhooks SET failing_since = '2026-01-01'")
    sql("UPDATE webhook_deliveries SET tries = 7")
    perform()
    shown = hers.get(f"{WEBHOOKS}/{hook['id']}").json
    assert shown["active"] is True
    assert shown["failing_since"] > "2026-01-02"


def test_a_webhook_that_is_deleted_during_a_call_is_no_error(hers, hook, perform, target, sql):
    def answer(handler):
        hers.delete(f"{WEBHOOKS}/{hook['id']}")
        handler.reply(200)

    target.behave = answer
    pinged(hers, hook)
    perform()
    assert sql("SELECT done_at IS NOT NULL, last_error FROM outbox") == [(True, None)]


# With real processes


def test_a_worker_calls_and_tries_again(environ, hers, target, sql):
    hook = make(hers, target)
    target.answer(500, 200)
    with delivering({**environ, "WEBHOOK_ALLOW_PRIVATE": "true"}):
        written = hers.post("/api/v2/posts", json=POST).json
        wait_for(lambda: sql("SELECT * FROM webhook_deliveries WHERE done_at IS NOT NULL"))
    first, second = target.calls
    assert first.json["data"]["id"] == written["id"]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    (item,) = hers.get(f"{WEBHOOKS}/{hook['id']}/deliveries").json["items"]
    assert [attempt["status"] for attempt in item["attempts"]] == [500, 200]


def test_a_worker_calls_nobody_inside_by_default(environ, hers, target, sql):
    make(hers, target)
    with delivering(environ):
        hers.post("/api/v2/posts", json=POST)
        refused = "SELECT last_error FROM outbox WHERE subscriber = 'post_webhook' AND last_error IS NOT NULL"
        ((error,),) = wait_for(lambda: sql(refused))
    assert "Refused" in error
    assert target.calls == []


def test_a_call_that_outlasts_the_hard_time_limit_is_noted_and_tried_again(environ, hers, target, sql):
    make(hers, target)
    target.hang()
    with delivering({**environ, "WEBHOOK_ALLOW_PRIVATE": "true"}, "--soft-time-limit", "0", "--time-limit", "2"):
        hers.post("/api/v2/posts", json=POST)
        noted = "SELECT last_error FROM outbox WHERE subscriber = 'post_webhook' AND last_error IS NOT NULL"
        assert wait_for(lambda: sql(noted)) == [("TimeLimitExceeded(2.0)",)]
        wait_for(lambda: len(target.calls) == 2)  # long before its lease has lapsed
