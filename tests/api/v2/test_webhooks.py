"""v2's webhooks: whose they are, what they may be, what they were told (their calls: tests/tasks/test_webhooks.py)."""

from __future__ import annotations

import socket

import pytest

from tests.api.v2.conftest import V2, fields_of

WEBHOOKS = f"{V2}/webhooks"
OUTSIDE = "https://93.184.215.14/hook"
NEW = {"url": OUTSIDE, "events": ["post.published"]}
TOLD = """INSERT INTO webhook_deliveries
    (webhook_id, event_id, type, body, round, tries, attempts, created_at, {column})
    VALUES (:id, :event, 'post.published', '{{}}', 1, 8, '[]', '2026-01-01', {value})"""


@pytest.fixture
def hook(hers):
    """The address of a webhook of Alice's."""
    return hers.post(WEBHOOKS, json=NEW).headers["Location"]


@pytest.fixture
def bobs(make_user, acting):
    return acting(make_user(username="bob"))


@pytest.fixture
def delivery(sql, hook):
    """delivery(state): the id of one to Alice's webhook, that is in this state."""

    def make(state="done", event="e"):
        column = {"done": "done_at", "failed": "failed_at", "waiting": "done_at"}[state]
        value = "NULL" if state == "waiting" else "'2026-01-01'"
        sql(TOLD.format(column=column, value=value), id=int(hook.rpartition("/")[2]), event=event)
        return sql("SELECT max(id) FROM webhook_deliveries")[0][0]

    return make


@pytest.fixture
def resolving(monkeypatch):
    """resolving(name=address …): what these names mean from now on."""
    known = {}

    def getaddrinfo(host, port, **_):
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        family = socket.AF_INET6 if ":" in known[host] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lambda **names: known.update({name.replace("_", "."): address for name, address in names.items()})


def test_a_webhook_that_is_made_shows_its_secret_once(hers, hook):
    made = hers.post(WEBHOOKS, json=NEW | {"events": ["user.followed", "post.published", "user.followed"]})
    assert made.status_code == 201
    webhook = made.json
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert len(secret) == 50
    assert webhook["events"] == ["post.published", "user.followed"]
    assert (webhook["scope"], webhook["active"]) == ("own", True)
    read = hers.get(made.headers["Location"])
    assert read.json == webhook
    assert secret not in read.text + hers.get(WEBHOOKS).text
    assert [item["id"] for item in hers.get(WEBHOOKS).json["items"]] == [int(hook.rpartition("/")[2]), webhook["id"]]


def test_a_new_secret_takes_the_place_of_the_old_one(hers, hook, sql):
    before = sql("SELECT secret FROM webhooks")[0][0]
    answer = hers.post(f"{hook}/secret")
    assert answer.status_code == 200
    assert sql("SELECT secret FROM webhooks") == [(answer.json["secret"],)]
    assert answer.json["secret"] != before


def test_a_change_is_partial(hers, hook):
    before = hers.get(hook).json
    for change in ({"url": "http://93.184.215.14:8080/x"}, {"events": ["post.deleted"]}, {"active": False}):
        assert hers.patch(hook, json=change).json == (before := before | change)
    assert hers.get(hook).json == before


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_to_a_webhook_that_has_moved_on_is_412(hers, hook, method):
    headers = {"If-Match": hers.get(hook).headers["ETag"]}
    hers.patch(hook, json={"active": False})
    assert hers.open(hook, method=method, json={"active": True}, headers=headers).status_code == 412
    assert hers.get(hook).json["active"] is False


def test_a_deleted_webhook_is_gone_with_its_deliveries(hers, hook, delivery, sql):
    delivery()
    assert hers.delete(hook).status_code == 204
    assert hers.get(hook).status_code == 404
    assert sql("SELECT * FROM webhook_deliveries") == []


def test_nobody_has_more_than_ten(hers, bobs):
    assert [hers.post(WEBHOOKS, json=NEW).status_code for _ in range(11)] == [201] * 10 + [409]
    assert bobs.post(WEBHOOKS, json=NEW).status_code == 201


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/secret"),
        ("POST", "/ping"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/{id}/redeliver"),
    ],
)
def test_anothers_webhook_is_as_if_it_were_not_there_but_for_admins(
    bobs, admins, client, hook, delivery, method, below
):
    address = hook + below.format(id=delivery())
    statuses = [
        who.open(address, method=method, json={"active": True} if method == "PATCH" else None).status_code
        for who in (client, bobs, admins)
    ]
    assert statuses[:2] == [401, 404]
    assert statuses[2] in (200, 202, 204)


def test_whose_a_webhook_is_is_asked_before_its_new_address_is_looked_up(bobs, hook, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name, **_: asked.append(name) or [])
    assert bobs.patch(hook, json={"url": "https://unknown.example/"}).status_code == 404
    assert bobs.patch(hook, json={"url": "ftp://unknown.example/"}).status_code == 404
    assert asked == []


def test_only_webhooks_of_admins_hear_of_all(hers, admins, hook):
    assert hers.post(WEBHOOKS, json=NEW | {"scope": "all"}).status_code == 403
    assert hers.patch(hook, json={"scope": "all"}).status_code == 403
    assert admins.patch(hook, json={"scope": "all"}).status_code == 403, "what counts is the owner"
    assert admins.post(WEBHOOKS, json=NEW | {"scope": "all", "events": ["user.registered"]}).status_code == 201


def test_registrations_are_no_event_of_ones_own(hers, admins, hook):
    for answer in (
        hers.post(WEBHOOKS, json=NEW | {"events": ["user.registered"]}),
        hers.patch(hook, json={"events": ["user.registered"]}),
        admins.post(WEBHOOKS, json=NEW | {"events": ["user.registered"]}),
    ):
        assert (answer.status_code, fields_of(answer)) == (422, ["events"])


@pytest.mark.parametrize(
    "wrong", [{"events": []}, {"events": ["post.read"]}, {"scope": "some"}, {"active": "yes"}, {"secret": "whsec_x"}]
)
def test_what_is_wrong_is_named(hers, wrong):
    answer = hers.post(WEBHOOKS, json=NEW | wrong)
    assert answer.status_code == 422
    assert [field.partition(".")[0] for field in fields_of(answer)] == list(wrong)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://93.184.215.14/x",
        "file:///etc/passwd",
        "gopher://93.184.215.14/",
        "//93.184.215.14/",
        "https:///x",
        "https://user:password@93.184.215.14/",
        "https://@93.184.215.14/",
        "http://93.184.215.14:25/",
        "http://93.184.215.14:0/",
        "http://93.184.215.14:65536/",
        "http://[::1/",
        "http://a..b/",
        f"http://{'x' * 64}.example.org/",
        "http://93.184.215.14/\n",
        "http://93.184.215.14/ü",
        "https://93.184.215.14/" + "x" * 2048,
    ],
)
def test_an_address_that_is_none_that_we_call_is_refused(hers, hook, url):
    for answer in (hers.post(WEBHOOKS, json=NEW | {"url": url}), hers.patch(hook, json={"url": url})):
        assert (answer.status_code, fields_of(answer)) == (422, ["url"])


INSIDE = [
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "127.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "198.51.100.1",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff0e::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2001:db8::1]",
    "[2001:0:5db8::1]",
    "localhost",
]


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused_however_it_is_spelled(hers, hook, host):
    for answer in (
        hers.post(WEBHOOKS, json=NEW | {"url": f"http://{host}:8080/x"}),
        hers.patch(hook, json={"url": f"http://{host}/x"}),
    ):
        assert (answer.status_code, fields_of(answer)) == (422, ["url"])


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:2800:21f::1]", "[2002:5db8:d70e::]", "[64:ff9b::5db8:d70e]"])
@pytest.mark.parametrize("port", ["", ":80", ":443", ":1024", ":65535"])
def test_an_address_outside_is_taken(hers, host, port):
    assert hers.post(WEBHOOKS, json=NEW | {"url": f"http://{host}{port}/x?y=z"}).status_code == 201


def test_a_name_is_judged_by_what_it_means(hers, resolving):
    resolving(good_example="93.184.215.14", evil_example="10.0.0.1")
    answers = {
        name: hers.post(WEBHOOKS, json=NEW | {"url": f"https://{name}/"}).status_code
        for name in ("good.example", "evil.example", "unknown.example")
    }
    assert answers == {"good.example": 201, "evil.example": 422, "unknown.example": 201}


def test_deliveries_are_listed_the_latest_first_by_their_state(hers, hook, delivery):
    ids = [delivery(state, event) for event, state in enumerate(("done", "failed", "waiting"))]
    listed = hers.get(f"{hook}/deliveries").json
    assert [item["id"] for item in listed["items"]] == ids[::-1]
    for id, state in zip(ids, ("done", "failed", "waiting"), strict=True):
        assert [item["id"] for item in hers.get(f"{hook}/deliveries?state={state}").json["items"]] == [id]
    page = hers.get(f"{hook}/deliveries?limit=2&total=true").json["page"]
    assert page["total"] == 3
    rest = hers.get(f"{hook}/deliveries?limit=2&cursor={page['next']}").json
    assert [item["id"] for item in rest["items"]] == ids[:1]
    assert fields_of(hers.get(f"{hook}/deliveries?limit=21&state=lost")) == ["limit", "state"]


@pytest.mark.parametrize("state", ["done", "failed", "waiting"])
def test_whatever_came_of_a_delivery_it_can_be_begun_anew(hers, hook, delivery, sql, state):
    id = delivery(state)
    answer = hers.post(f"{hook}/deliveries/{id}/redeliver")
    assert (answer.status_code, answer.data) == (202, b"")
    assert [item["id"] for item in hers.get(f"{hook}/deliveries?state=waiting").json["items"]] == [id]
    assert sql("SELECT subscriber, attempts FROM outbox") == [("post_webhook", 0)]


def test_a_delivery_of_another_webhook_is_not_found(hers, hook, delivery):
    other = hers.post(WEBHOOKS, json=NEW).headers["Location"]
    assert hers.post(f"{other}/deliveries/{delivery()}/redeliver").status_code == 404


def test_a_webhook_that_is_not_active_is_sent_nothing(hers, hook, delivery):
    hers.patch(hook, json={"active": False})
    for address in (f"{hook}/ping", f"{hook}/deliveries/{delivery()}/redeliver"):
        assert hers.post(address).status_code == 409
