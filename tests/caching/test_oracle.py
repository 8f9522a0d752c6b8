"""CACHE.md, proof 1: after each way of writing, every cached address answers as if there were no cache."""

from __future__ import annotations

import pytest

from tests.caching import ways_by_http, ways_of_writing
from tests.conftest import BACKEND

WAYS = ways_of_writing.BOTH + (ways_of_writing.SQLITE if BACKEND == "sqlite" else ways_of_writing.POSTGRESQL)


@pytest.fixture
def write(app, environ, monkeypatch):
    """write(way, world): in an application context of its own, as no request."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run(way, world):
        with app.app_context():
            way(world, environ["DATABASE_URL"])
        app.extensions["coherence"].settle()  # no answer of ours did

    return run


@pytest.mark.parametrize("way", WAYS + ways_by_http.HTTP, ids=lambda way: way.__name__)
def test_every_address_shows_the_write(way, world, ask, warm, write, uncached):
    before = warm(world.addresses)
    write(way, world)
    cached = {address: ask(address) for address in world.addresses}
    with uncached():
        computed = {address: ask(address) for address in world.addresses}
    assert computed != before, "the write shows nowhere: the test proves nothing"
    for address in world.addresses:
        assert cached[address] == computed[address], address


@pytest.mark.parametrize("way", ways_of_writing.ROLLED_BACK, ids=lambda way: way.__name__)
def test_what_shows_nowhere_makes_nothing_stale(way, world, reader, warm, write):
    warm(world.addresses)
    write(way, world)
    for address in world.addresses:
        assert "; hit;" in reader.get(address).headers["Cache-Status"], address


def test_a_write_to_one_post_leaves_another_posts_entry_alone(world, client, warm, write):
    warm(world.addresses)
    write(ways_of_writing.flush_of_a_change, world)
    assert "; hit;" in client.get(f"/api/v1/posts/{world.posts[1].id}").headers["Cache-Status"]
    assert "; hit;" in client.get("/api/v1/users").headers["Cache-Status"]


def test_every_cached_route_is_in_the_world(app, world):
    """A route that is cached and not asked by the oracle would be trusted unproved."""
    asked = set()
    adapter = app.url_map.bind("localhost")
    for address in world.addresses:
        asked.add(adapter.match(address.partition("?")[0])[0])
    cached = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if hasattr(getattr(getattr(app.view_functions[rule.endpoint], "view_class", None), "get", None), "tags")
    }
    assert cached, "no cached route was found"
    assert cached == asked
