"""What a process keeps is bounded in number and in bytes, counts both exactly, and no flood drives out what is hot."""

from __future__ import annotations

import random
import threading

from app.caching.entry import OVERHEAD_BYTES, Entry, etag_of
from app.caching.near import Clock


def insist(clock, key, value=None, size=100):
    """As a second miss would."""
    for _ in range(2):
        clock.put(key, value or key, size)


def test_what_was_asked_for_stays_and_what_was_not_goes_first():
    near = Clock(2, 10**6)
    near.put("a", 1, 100)
    near.put("b", 2, 100)
    near.get("a")
    insist(near, "c")
    assert [near.get(key) for key in "abc"] == [1, None, "c"]


def test_what_was_asked_for_long_ago_goes_too():
    near = Clock(2, 10**6)
    near.put("a", 1, 100)
    near.get("a")
    for key in "bcde":
        insist(near, key)
    assert near.get("a") is None


def test_a_newcomer_is_let_in_at_once_while_there_is_room_and_then_at_his_second_coming():
    near = Clock(2, 10**6)
    near.put("a", 1, 100)
    near.put("b", 2, 100)
    near.put("c", 3, 100)
    assert near.get("c") is None
    near.put("c", 3, 100)
    assert near.get("c") == 3


def test_a_flood_of_what_nobody_asks_for_again_drives_nothing_out():
    near = Clock(100, 10**6)
    hot = [f"hot {n}" for n in range(100)]
    for key in hot:
        near.put(key, key, 10)
    for n in range(10_000):
        near.put(f"flood {n}", n, 10)
    assert [near.get(key) for key in hot] == hot


def test_a_flood_that_comes_twice_leaves_what_is_asked_for_between():
    near = Clock(100, 10**6)
    near.put("hot", 1, 10)
    for n in range(5000):
        assert near.get("hot") == 1
        insist(near, f"flood {n}", n, 10)
    assert len(near) == 100


def test_a_key_has_one_value_the_newest():
    near = Clock(10, 10**6)
    near.put("a", 1, 100)
    near.put("a", 2, 50)
    assert (near.get("a"), len(near), near.bytes) == (2, 1, 50)


def test_bytes_are_bounded():
    near = Clock(100, 300)
    for key in "abcdef":
        insist(near, key)
    assert (len(near), near.bytes) == (3, 300)


def test_what_is_larger_than_all_is_not_kept_and_neither_is_what_it_replaces():
    near = Clock(100, 500)
    near.put("a", 1, 100)
    near.put("a", 2, 1000)
    assert (near.get("a"), len(near), near.bytes) == (None, 0, 0)


def test_what_grows_makes_room():
    near = Clock(100, 300)
    for number, key in enumerate("abc"):
        near.put(key, number, 100)
    near.resize("c", 2, 250)
    assert (list(near), near.bytes) == ([2], 250)
    near.resize("c", "what was replaced meanwhile", 1)
    assert near.bytes == 250


def test_threads_that_put_get_and_clear_leave_exact_counts():
    near = Clock(50, 5000)

    def work(seed):
        choice = random.Random(seed)
        for _ in range(5000):
            key = choice.randrange(200)
            near.put(key, key, choice.randrange(1, 200))
            near.get(choice.randrange(200))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert near.bytes == sum(kept.size for kept in near._kept.values()) <= 5000
    assert len(near) <= 50
    near.clear()
    assert (len(near), near.bytes) == (0, 0)


def test_the_size_of_an_entry_counts_each_of_its_codings():
    entry = Entry("k", None, (1,), (2,), 2e9, '"e"', (), b"x" * 5000)
    assert entry.size == 5000 + 1 + OVERHEAD_BYTES
    packed = entry.answer("gzip")
    assert entry.size == 5000 + 1 + 2 * OVERHEAD_BYTES + len(packed.body)


def test_an_entry_survives_the_far_cache_whole():
    kept = Entry("k", 7, (3,), (2**63 - 1,), 12.5, '"x"', (("Content-Type", "application/json"),), b'{"a":"\n"}')
    assert Entry.from_bytes(kept.to_bytes()) is None, "its ETag is not its body's"
    for computed_at in (None, 1.5):
        whole = Entry("k", 7, (3,), (2**63 - 1,), 12.5, etag_of(kept.body), kept.headers, kept.body, computed_at)
        assert Entry.from_bytes(whole.to_bytes()) == whole
