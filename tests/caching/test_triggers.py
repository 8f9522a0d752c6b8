"""The database itself moves generations: what is installed is what the page says."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.caching import POST, POSTS, USER, USERS, dependencies, triggers
from app.caching.dependencies import FAMILIES
from app.extensions import db
from tests.conftest import BACKEND


@pytest.fixture
def faults(app):
    """faults(): what `flask cache check` says."""

    def check():
        with app.app_context(), db.engine.connect() as connection:
            return triggers.faults(connection)

    return check


@pytest.fixture
def repaired(app):
    """Install everything anew after a test that broke it."""
    yield
    with app.app_context(), db.engine.begin() as connection:
        triggers.install(connection)


def test_a_migrated_database_is_as_the_page_says(faults):
    assert faults() == []


def test_a_trigger_that_is_missing_is_said_by_name_and_made_again(app, faults, sql, repaired):
    name = "cache_posts_insert"
    sql(f"DROP TRIGGER {name}" + (" ON posts" if BACKEND == "postgresql" else ""))
    assert faults() == [f"the trigger {name} is missing"]
    with app.app_context(), db.engine.begin() as connection:
        triggers.install(connection)
    assert faults() == []


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite cannot disable a trigger")
def test_a_trigger_that_does_not_fire_for_replicated_rows_is_a_fault(faults, sql, repaired):
    sql("ALTER TABLE posts DISABLE TRIGGER cache_posts_update")
    assert faults() == ["the trigger cache_posts_update is not as the page says"]
    sql("ALTER TABLE posts ENABLE TRIGGER cache_posts_update")
    assert faults() == ["the trigger cache_posts_update is not as the page says"]
    sql("ALTER TABLE posts ENABLE ALWAYS TRIGGER cache_posts_update")
    assert faults() == []


def test_a_missing_slot_is_a_fault_and_is_not_served_from_the_cache(
    faults, sql, client, make_user, repaired, app, coherence
):
    address = f"/api/v1/users/{make_user().id}"
    client.get(address)
    sql("DELETE FROM cache_generations WHERE slot = :slot", slot=USER.slot)
    if app.config["CACHE_MODE"] == "leased":
        coherence.check_now()  # a page learns of moves alone: it is found within ten seconds
    assert "bypass" in client.get(address).headers["Cache-Status"]
    assert faults() == ["1 slots are missing"]
    with app.app_context(), db.engine.begin() as connection:
        triggers.install(connection)
    assert faults() == []


def test_while_the_triggers_differ_nothing_is_kept(client, sql, coherence, make_user, repaired):
    make_user()
    sql("DROP TRIGGER cache_users_insert" + (" ON users" if BACKEND == "postgresql" else ""))
    coherence.check_now()
    for _ in range(2):
        answer = client.get("/api/v1/users")
        assert answer.status_code == 200
        assert answer.headers["Cache-Status"] == "broadsheet; fwd=bypass; detail=generations"
    coherence.check_now()


def test_rebase_makes_every_entry_stale(app, client, make_user, coherence):
    make_user()
    client.get("/api/v1/users")
    with app.app_context(), db.engine.begin() as connection:
        triggers.rebase(connection)
    coherence.settle()
    assert "fwd=stale" in client.get("/api/v1/users").headers["Cache-Status"]


def test_no_two_families_share_a_slot():
    slots = [slot for family in FAMILIES for slot in family.slots]
    assert len(slots) == len(set(slots))


def test_slots_keep_their_numbers_for_ever():
    """They are stored: a release that renumbers them would read another family's generations (ADR 0003)."""
    assert {family.name: (family.slot, family.size) for family in FAMILIES} == {
        "users": (0, 0),
        "user": (1, 1024),
        "posts": (2000, 0),
        "post": (2001, 4096),
        "private": (7000, 1024),
        "follow": (8100, 1024),
        "session": (9200, 1024),
        "statistics": (10300, 0),
    }


def test_a_member_has_the_slot_that_sql_computes(app, sql):
    """The modulo of Python and of both databases agree for every id that there can be."""
    function = f"mod(:id, {POST.size})" if BACKEND == "postgresql" else f":id % {POST.size}"
    for id in (1, 4095, 4096, 4097, 2**31, 2**63 - 1):
        cast = function.replace(":id", "CAST(:id AS bigint)")
        (row,) = sql(f"SELECT {cast}", id=id)
        assert POST.member(id) == (POST.slot, POST.slot + 1 + row[0])


def test_a_bulk_write_moves_few_slots(app, sql, make_user, make_post, coherence):
    """More rows than are named one by one move the family's own slot instead."""
    alice = make_user()
    make_post(alice)
    everything = tuple(POST.slots)
    with app.app_context():
        values = {"user": alice.id}
        rows = ", ".join(f"(:user, 'bulk {n}', 'x', 'general', '2026-01-01', '2026-01-01')" for n in range(200))
        before = coherence.source.read(everything)
        with db.engine.begin() as connection:
            columns = "(user_id, title, content, category, created_at, updated_at)"
            connection.execute(text(f"INSERT INTO posts {columns} VALUES {rows}"), values)
        coherence.settle()
        after = coherence.source.read(everything)
    moved = [slot for slot, old, new in zip(everything, before, after, strict=True) if old != new]
    assert moved == [POST.slot] if BACKEND == "postgresql" else len(moved) == 200


def test_every_model_is_in_the_map_or_never_cached(app):
    """HOUSE, law 4."""
    models = {mapper.class_ for mapper in db.Model.registry.mappers}
    assert models == set(dependencies.MAP) | set(dependencies.NEVER_CACHED)
    assert not set(dependencies.MAP) & set(dependencies.NEVER_CACHED)


def test_every_rule_names_columns_of_its_table():
    for table in triggers.watched():
        columns = set(db.metadata.tables[table.table].columns.keys())
        for rule in table.rules:
            assert {*rule.when, *([rule.by] if rule.by else [])} <= columns


def test_the_page_names_the_four_tags():
    assert [family.name for family in (POSTS, POST, USERS, USER)] == ["posts", "post", "users", "user"]
