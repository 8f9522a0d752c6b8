"""CACHE.md, proof 6: in whatever order they ask, nobody is answered what was made for another.

Every cached route is found in the app's own map: a new one is asked too, or fails the test that fills its address.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from math import lcm

import pytest
from sqlalchemy import String, Text

from app.caching.dependencies import FAMILIES, PUBLIC_USER
from app.extensions import db
from app.models import Notification, User
from app.services.atomic import atomic

WHO = ("nobody", "alice", "bob", "admin")
QUERIES = {"/api/v2/posts": ("", "?include=author")}  # by what a route's address begins with
SLOTS = lcm(*(family.size for family in FAMILIES if family.size))
NOT_A_SECRET = {"role", "username_key"}  # what everybody may know, or can make from the name


class Town:
    """Three people, each with a secret in every private column, and how each of them asks.

    Their ids share every slot: no generation keeps their entries apart.
    """

    def __init__(self, users, secrets, clients, values):
        self.users, self.secrets, self.clients, self.values = users, secrets, clients, values

    def ask(self, who, address):
        return self.clients[who].get(address, headers={"X-Request-ID": "same"})


@pytest.fixture
def town(app, client, as_user, make_user, make_post, make_todo, sql):
    users, secrets, todos, posts = {}, {}, [], []
    for number, who in enumerate(WHO[1:]):
        private = {
            "email": f"{who}@canary.example",
            "mobile": f"+49 {who}",
            "birth": f"199{number}-08-23",
            "age": 141 + number,
        }
        if users:
            private["id"] = users["alice"].id + number * SLOTS
        user = users[who] = make_user(username=f"name-of-{who}", role="admin" if who == "admin" else "user", **private)
        posts.append(make_post(user, title=f"post of {who}").id)
        trashed = make_post(user, title=f"trash of {who}").id
        sql("UPDATE posts SET deleted_at = created_at WHERE id = :id", id=trashed)
        todos.append(make_todo(user, task=f"todo of {who}"))
        told = {"user_id": user.id, "kind": f"told {who}", "post_id": posts[-1], "channel": "inbox"}
        with app.app_context(), atomic():
            db.session.add(Notification(event_id=f"event of {who}", **told))
        texts = {column: str(value) for column, value in private.items() if column not in ("age", "id")}
        secrets[who] = {
            **texts,
            "age": f'"age":{private["age"]}',
            "password_hash": user.password_hash,
            "task": f"todo of {who}",
            "kind": f"told {who}",
            "trash": f"trash of {who}",
        }
    clients = {"nobody": client} | {who: as_user(user, "v2") for who, user in users.items()}
    values = {"users": [user.id for user in users.values()], "posts": posts, "todos": todos}
    return Town(users, secrets, clients, values)


@pytest.fixture
def addresses(app, town):
    """Every cached route, about everybody's things."""
    found = []
    for rule in app.url_map.iter_rules():
        get = getattr(getattr(app.view_functions[rule.endpoint], "view_class", None), "get", None)
        if hasattr(get, "tags"):
            queries = next((more for start, more in QUERIES.items() if rule.rule.startswith(start)), ("",))
            found += [f"{path}{query}" for path in filled(rule.rule, town.values) for query in queries]
    assert found
    return found


def filled(rule, values):
    """The rule's addresses: what its arguments may be is known by the word before each."""
    blanks = re.findall(r"/([^/]+)/<[^>]+>", rule)
    unknown = set(blanks) - set(values)
    assert not unknown, f"{rule} is cached: say in `town` which {unknown} there are, so that it is asked for canaries"
    for things in itertools.product(*(values[word] for word in blanks)):
        parts = iter(map(str, things))
        yield re.sub(r"<[^>]+>", lambda _, parts=parts: next(parts), rule)


def test_every_private_column_of_a_user_has_a_secret(app, town):
    texts = {c.name for c in User.__table__.columns if isinstance(c.type, (String, Text))}
    assert texts - set(PUBLIC_USER) - NOT_A_SECRET <= set(town.secrets["alice"])


def test_a_new_route_that_the_town_cannot_fill_is_noticed():
    with pytest.raises(AssertionError, match="say in `town`"):
        list(filled("/api/v3/things/<int:id>", {"users": [1]}))


def others(town, who):
    """What may stand in no answer to him."""
    return [
        secret
        for owner, secrets in town.secrets.items()
        for column, secret in secrets.items()
        if owner != who or column in ("password_hash", "trash")
    ]


def said(answer):
    return answer.status_code, answer.data, answer.headers.get("ETag"), answer.headers.get("Cache-Control")


def orders():
    """Each is once the first and once the last, each comes before each other, and after him."""
    return [row[turn:] + row[:turn] for row in (WHO, WHO[::-1]) for turn in range(len(WHO))]


def test_in_whatever_order_they_ask_nobody_is_answered_what_is_anothers(
    town, addresses, uncached, coherence, cache_redis, subtests
):
    with uncached():
        true = {(who, address): said(town.ask(who, address)) for who in WHO for address in addresses}
    hits = Counter()
    for order in orders():
        with subtests.test("-".join(order)):
            cache_redis.client.flushall()
            hits += _ask_in(order, town, true, coherence)
    assert hits["near"] > len(orders()) * len(addresses)
    assert hits["far"] > len(addresses)


def _ask_in(order, town, true, coherence):
    """Cold; then, where each is the first in turn, once more as in another process: from Redis."""
    hits, forbidden = Counter(), {who: others(town, who) for who in WHO}
    addresses = dict.fromkeys(address for _, address in true)
    for _ in range(2 if order in orders()[: len(WHO)] else 1):
        coherence.near.clear()
        for who, address in itertools.product(order, addresses):
            answer = town.ask(who, address)
            assert said(answer) == true[who, address], (who, address)
            text = answer.get_data(as_text=True)
            assert not [secret for secret in forbidden[who] if secret in text], (who, address)
            hits[answer.headers.get("Cache-Status", "").rpartition("; detail=")[2]] += 1
    return hits


def test_the_canaries_sing(town, addresses):
    """Each owner is shown his own: else the test above would look for what nobody could see."""
    seen = "".join(town.ask("alice", address).get_data(as_text=True) for address in addresses)
    assert town.secrets["alice"]["task"] in seen
