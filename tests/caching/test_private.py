"""A private entry says whose it is, and is served to nobody else, under whatever key it lies (CACHE.md)."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from app.caching import cache
from app.caching.entry import Entry
from tests.servers import wait_for

TODOS, POSTS = "/api/v1/todos", "/api/v1/posts"


@pytest.fixture
def alice(make_user):
    return make_user()


@pytest.fixture
def hers(as_user, alice, make_todo):
    make_todo(alice, task="secret")
    return as_user(alice)


@pytest.fixture
def planted(app, coherence, cache_redis):
    """planted(word, change, near): in the place of each entry with that word in its key a changed one, near or far."""

    def plant(word, change, near):
        entries = [entry for entry in coherence.near if word in entry.key]
        assert entries
        coherence.near.clear()
        prefix = app.config["CACHE_KEY_PREFIX"]
        with app.app_context():
            for entry in entries:
                if near:
                    coherence.keep(change(entry))
                for key in cache_redis.client.keys(f"{prefix}{entry.key}*"):
                    name = key.decode().removeprefix(prefix)
                    kept = Entry.from_bytes(cache.get(name))
                    assert kept == entry
                    if near:
                        cache_redis.client.delete(key)
                    else:  # where the machine is busy, Redis may take longer than a cache waits
                        wait_for(functools.partial(cache.set, name, change(kept).to_bytes()))

    return plant


@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
@pytest.mark.parametrize(
    "strangers", [lambda own: own + 1, lambda own: None, str], ids=["another's", "nobody's", "a text"]
)
def test_anothers_entry_under_ones_own_key_is_not_served(strangers, near, hers, planted):
    first = hers.get(TODOS)
    assert "; hit;" in hers.get(TODOS).headers["Cache-Status"]
    planted("v1-todos_todo_list", lambda entry: replace(entry, owner=strangers(entry.owner)), near)
    answer = hers.get(TODOS)
    assert "; hit;" not in answer.headers["Cache-Status"]
    assert answer.data == first.data
    assert "; hit;" in hers.get(TODOS).headers["Cache-Status"]


@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
def test_a_private_entry_under_a_public_key_is_not_served(near, client, make_post, alice, planted):
    make_post(alice)
    client.get(POSTS)
    planted("v1-posts_post_list", lambda entry: replace(entry, owner=alice.id), near)
    assert "; hit;" not in client.get(POSTS).headers["Cache-Status"]


@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
def test_the_control_an_entry_that_is_planted_unchanged_is_served(near, hers, planted):
    hers.get(TODOS)
    planted("v1-todos_todo_list", lambda entry: entry, near)
    assert f"detail={'near' if near else 'far'}" in hers.get(TODOS).headers["Cache-Status"]
