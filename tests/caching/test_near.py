"""The near cache is bounded in entries and in bytes, and counts both exactly."""

from __future__ import annotations

from app.caching.entry import OVERHEAD_BYTES, Entry
from app.caching.near import NearCache


def entry(key, size=100):
    return Entry(key, None, (1,), 2e9, '"e"', (), b"x" * size)


def test_the_longest_unused_goes_first():
    near = NearCache(2, 10**6)
    near.put(entry("a"))
    near.put(entry("b"))
    near.get("a")
    near.put(entry("c"))
    assert near.get("b") is None
    assert near.get("a") is not None
    assert near.get("c") is not None


def test_a_key_has_one_entry_the_newest():
    near = NearCache(10, 10**6)
    near.put(entry("a", 100))
    near.put(entry("a", 50))
    assert len(near) == 1
    assert near.bytes == entry("a", 50).size == 50 + 1 + OVERHEAD_BYTES


def test_bytes_are_bounded():
    one = entry("a").size
    near = NearCache(100, 3 * one)
    for key in "abcdef":
        near.put(entry(key))
    assert len(near) == 3
    assert near.bytes == 3 * one


def test_an_entry_larger_than_all_is_not_kept():
    near = NearCache(100, 500)
    near.put(entry("a", 1000))
    assert len(near) == 0
    assert near.bytes == 0


def test_an_entry_survives_the_far_cache_whole():
    kept = Entry("k", 7, (1, 2**63 - 1), 12.5, '"x"', (("Content-Type", "application/json"),), b'{"a":"\n"}')
    assert Entry.from_bytes(kept.to_bytes()) is None, "its ETag is not its body's"
    from app.caching.entry import etag_of

    whole = Entry("k", 7, (1, 2**63 - 1), 12.5, etag_of(kept.body), kept.headers, kept.body)
    assert Entry.from_bytes(whole.to_bytes()) == whole
