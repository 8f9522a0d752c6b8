"""What webhooks are told, and each call: signed, pinned to an address outside, bounded in time, tried again."""

from __future__ import annotations

import re
import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from app import tasks
from app.extensions import celery, db
from app.models.base import now
from app.services import callouts
from tests.factories import PASSWORD
from tests.servers import ROOT, wait_for
from tests.tasks.conftest import delivering
from tests.tasks.target import Target

WEBHOOKS = "/api/v2/webhooks"
POST = {"title": "A title", "content": "Some words.", "tags": ["trains"]}
OWN = ["post.published", "post.deleted", "user.followed"]
ALL = [*OWN, "user.registered"]
VERIFY = re.search(r"```python\n(.*?)```", (ROOT / "docs/webhooks.md").read_text(), re.DOTALL).group(1)


@pytest.fixture
def target():
    with Target() as target:
        yield target


@pytest.fixture(autouse=True)
def _inside(app, monkeypatch):
    """Targets on this machine may be called, unless a test says otherwise."""
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOW_PRIVATE", True)


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def hers(alice, as_user):
    return as_user(alice, "v2")


@pytest.fixture
def root(make_user, as_user):
    return as_user(make_user(username="root", role="admin"), "v2")


@pytest.fixture
def hook(hers, target):
    """A webhook of Alice's: what was answered when it was made."""
    return make(hers, target)


@pytest.fixture
def perform(app, sql):
    """perform(): run what is due for the first time, and what follows; perform(again=True): what failed too."""
    tasks.init_app(app)

    def run(again=False) -> None:
        seen = set()
        while due := sql("SELECT id, subscriber, attempts FROM outbox WHERE done_at IS NULL AND dead_at IS NULL"):
            due = [row for row in due if row[0] not in seen and (again or row[2] == 0)]
            if not due:
                return
            for id, subscriber, attempts in due:
                seen.add(id)
                celery.tasks[subscriber].apply(args=[id, attempts], throw=True)

    return run


@pytest.fixture
def try_often(perform):
    """try_often(): until the outbox has given up, or all is done."""
    return lambda: [perform(again=True) for _ in range(8)]


@pytest.fixture
def delivery(hers, hook):
    """delivery(): the latest of Alice's webhook."""
    return lambda: hers.get(f"{WEBHOOKS}/{hook['id']}/deliveries").json["items"][0]


def make(client, target, events=OWN, **more):
    made = client.post(WEBHOOKS, json={"url": target.url, "events": events} | more)
    assert made.status_code == 201, made.text
    return made.json


def pinged(client, hook):
    assert client.post(f"{WEBHOOKS}/{hook['id']}/ping").status_code == 202


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


# Time


def test_a_target_that_never_answers_is_left_in_time_and_rests(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 0.5)
    monkeypatch.setattr("app.services.webhooks.SLOW_SECONDS", 0.2)
    target.hang()
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert 0.5 <= time.monotonic() - began < 3
    perform(again=True)
    assert len(target.calls) == 1, "it is not called while it rests"
    first, second = delivery()["attempts"]
    assert "TimeoutError" in first["error"]
    assert second["error"].startswith("Not called")


def drip(what):
    def behave(handler):
        handler.wfile.write(what)
        while not handler.server.stopped.wait(0.1):
            handler.wfile.write(b"x")

    return behave


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\n"])
def test_a_target_that_drips_bytes_does_not_outlast_its_time(hers, hook, perform, target, delivery, monkeypatch, begun):
    monkeypatch.setattr(callouts, "SECONDS", 1)
    target.behave = drip(begun)
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 3
    assert delivery()["attempts"][0]["error"]


def test_a_status_counts_even_if_the_rest_drips(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 1)
    target.behave = drip(b"HTTP/1.1 200 OK\r\n\r\n")
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 3
    assert delivery()["done_at"]


def test_a_name_server_that_is_slow_is_not_waited_for(hers, hook, perform, target, delivery, monkeypatch):
    monkeypatch.setattr(callouts, "SECONDS", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
    pinged(hers, hook)
    began = time.monotonic()
    perform()
    assert time.monotonic() - began < 1.5
    assert "TimeoutError" in delivery()["attempts"][0]["error"]


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, b"\0" * 99999]
)
def test_what_is_no_answer_is_a_failure(hers, hook, perform, target, delivery, answer):
    target.behave = lambda handler: handler.wfile.write(answer)
    pinged(hers, hook)
    perform()
    (attempt,) = delivery()["attempts"]
    assert (attempt["status"], delivery()["done_at"]) == (None, None)
    assert "\n" not in attempt["error"]


# Where it goes


def test_a_redirect_is_not_followed(hers, hook, perform, target, delivery):
    with Target() as other:
        target.answer(302, headers={"Location": other.url})
        pinged(hers, hook)
        perform()
        assert other.calls == []
    assert delivery()["attempts"][0]["error"] == "Answered 302"


def test_no_proxy_of_the_environment_is_used(hers, hook, perform, target, monkeypatch):
    with Target() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        pinged(hers, hook)
        perform()
        assert (len(target.calls), proxy.calls) == (1, [])


class Names:
    """A name server: what it answers in turn, and how often it was asked."""

    def __init__(self, *answers):
        self.left, self.asked = list(answers), 0

    def __call__(self, host, port, **_):
        self.asked += 1
        addresses = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def outside_alone(app, monkeypatch):
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOW_PRIVATE", False)


@pytest.mark.parametrize("means", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"]])
def test_a_name_that_becomes_private_later_is_not_called(hers, target, perform, sql, monkeypatch, outside_alone, means):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14"], means))
    target.url = f"http://rebind.example:{target.port}/hook"
    pinged(hers, make(hers, target))
    perform()
    assert target.calls == []
    assert "everybody can reach" in sql("SELECT last_error FROM outbox")[0][0]


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(
    hers, target, perform, delivery, monkeypatch, hook
):
    """Rebinding between check and use has nothing to rebind: nobody asks again."""
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(callouts, "check", lambda url: None)
    hers.patch(f"{WEBHOOKS}/{hook['id']}", json={"url": f"http://rebind.example:{target.port}/hook?a=b"})
    pinged(hers, hook)
    perform()
    assert names.asked == 1
    (call,) = target.calls
    assert (call.path, call.headers["host"]) == ("/hook?a=b", f"rebind.example:{target.port}")


def test_the_next_address_of_a_name_is_tried(hers, hook, target, perform, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.99", "127.0.0.1"]))
    pinged(hers, hook)
    perform()
    assert len(target.calls) == 1


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """certificates(name): a server's TLS context for this name, of an authority that we trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(callouts, "_trust", lambda: ssl.create_default_context(cafile=str(Path(tmp_path) / "ca.pem")))

    def of(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return of


@pytest.mark.parametrize(("certified", "is_good"), [("hooks.example", True), ("other.example", False)])
def test_over_tls_the_certificate_must_be_of_the_name(
    hers, perform, monkeypatch, certificates, certified, is_good, sql
):
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
    context, asked = certificates(certified), []
    context.sni_callback = lambda sock, name, _: asked.append(name)
    with Target(context) as target:
        target.url = f"https://hooks.example:{target.port}/hook"
        pinged(hers, make(hers, target))
        perform()
        assert len(target.calls) == is_good
    assert asked == ["hooks.example"]
    assert is_good or "CERTIFICATE_VERIFY_FAILED" in sql("SELECT last_error FROM outbox")[0][0]


def test_a_secret_is_in_no_log_line(hers, hook, perform, target, caplog):
    target.answer(500, 200)
    with caplog.at_level("DEBUG"):
        pinged(hers, hook)
        perform()
        perform(again=True)
    assert hook["secret"] not in caplog.text
    assert hook["secret"].removeprefix("whsec_") not in caplog.text


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
