"""`flask cache …`: whether the database keeps the cache coherent, and what to do when it does not."""

from __future__ import annotations

import pytest

from app.extensions import db
from tests.conftest import BACKEND

URL = "/api/v1/posts"
TRIGGER = "cache_posts_insert"
DROP = f"DROP TRIGGER {TRIGGER}" + (" ON posts" if BACKEND == "postgresql" else "")
if BACKEND == "postgresql":
    ALTER = [
        f"CREATE OR REPLACE FUNCTION {TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
    ]
    DISABLE = [f"ALTER TABLE posts DISABLE TRIGGER {TRIGGER}"]
else:
    ALTER = [DROP, f"CREATE TRIGGER {TRIGGER} AFTER INSERT ON posts BEGIN SELECT 1; END"]
    DISABLE = [DROP]


@pytest.fixture(autouse=True)
def _installed(run):
    """Whatever a test does to the triggers, the next one has them."""
    yield
    run("cache", "install")


def _cache_status(client) -> str:
    answer = client.get(URL)
    assert answer.status_code == 200
    return str(answer.headers["Cache-Status"])


def test_check_is_content_after_a_migration(run):
    assert run("cache", "check") == "the database moves the generations of all that becomes stale\n"


@pytest.mark.parametrize(
    ("statements", "fault"),
    [([DROP], "is missing"), (ALTER, "is not as the page says"), (DISABLE, "is")],
    ids=["dropped", "altered", "disabled"],
)
def test_check_names_the_trigger_that_is_wrong_and_install_repairs_it(app, run, refused, statements, fault):
    # On one connection: another of SQLite's may not have noticed yet that the trigger is gone.
    with app.app_context(), db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    assert refused("cache", "check").startswith(f"the trigger {TRIGGER} {fault}")
    run("cache", "install")
    run("cache", "check")


def test_check_reports_missing_slots_and_install_fills_them(run, refused, sql):
    sql("DELETE FROM cache_generations WHERE slot > 5")
    assert refused("cache", "check").endswith("slots are missing")
    run("cache", "install")
    run("cache", "check")


def test_a_repair_makes_stale_what_was_kept_meanwhile(run, client, sql, make_user, make_post):
    author = make_user()
    _cache_status(client)
    assert "hit" in _cache_status(client)
    sql(DROP)
    make_post(author, title="unseen")
    assert client.get(URL).json == [], "without its trigger the cache cannot know"
    run("cache", "install")
    assert [post["title"] for post in client.get(URL).json] == ["unseen"]


def test_rebase_makes_every_answer_stale(run, client, make_user, make_post):
    post = make_post(make_user())
    addresses = [URL, f"{URL}/{post.id}", "/api/v1/users", "/api/v2/posts"]
    for address in addresses:
        client.get(address)
        assert "hit" in client.get(address).headers["Cache-Status"], address
    assert run("cache", "rebase") == "every cached answer is stale now\n"
    for address in addresses:
        assert "hit" not in client.get(address).headers["Cache-Status"], address


def test_show_tells_the_mode_the_far_cache_and_the_hits_of_each_route(run, client, make_user, make_post):
    make_post(make_user())
    for _ in range(2):
        client.get(URL)
    said = run("cache", "show")
    assert "mode   direct" in said
    assert "answers True" in said
    assert [line for line in said.splitlines() if line.endswith(f" {URL}") and "%" in line]


def test_show_ends_with_what_is_wrong(app, run):
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(DROP)
    assert run("cache", "show").endswith(f"fault  the trigger {TRIGGER} is missing\n")


def test_effects_names_tags_and_routes_of_a_write_that_nobody_does(run):
    said = run("cache", "effects", "posts", "update", "--column", "title", "--id", "17").splitlines()
    assert said[:2] == ["tags   posts", "tags   post:17"]
    assert "routes /api/v1/posts/<int:id>" in said
    assert run("cache", "effects", "users", "update", "--column", "password_hash") == "nothing\n"


def test_purge_makes_stale_what_depends_on_the_tag(run, refused, client, make_user, make_post):
    make_post(make_user())
    _cache_status(client)
    assert "hit" in _cache_status(client)
    assert run("cache", "purge", "posts") == "1 slots have moved\n"
    assert "fwd=stale" in _cache_status(client)
    assert "nonsense is no tag" in refused("cache", "purge", "nonsense")


def test_a_command_ends_when_what_it_has_written_shows_on_every_host(app, run, make_user, coherence, monkeypatch):
    alice, settled = make_user(username="alice"), []
    monkeypatch.setattr(coherence.source, "settle", lambda: settled.append(alice))
    run("users", "promote", "alice")
    assert settled == [alice]
