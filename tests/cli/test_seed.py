"""`flask seed`: believable content, the same for the same seed."""

from __future__ import annotations

from sqlalchemy import text

from app.extensions import db

CONTENT = "SELECT title, content, category, created_at FROM posts ORDER BY created_at"
PEOPLE = "SELECT username, display_name FROM users ORDER BY id"


def _sown(run, app, sql, seed):
    run("seed", "--posts", "30", "--users", "4", "--seed", str(seed))
    rows = sql(CONTENT), sql(PEOPLE), sql("SELECT name FROM post_tags ORDER BY id")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("DELETE FROM users"))
    return rows


def test_the_same_seed_makes_the_same_content(run, app, sql):
    first, second, other = (_sown(run, app, sql, seed) for seed in (7, 7, 8))
    assert first == second
    assert first != other
    assert len(first[0]) == 30


def test_what_was_sown_is_shown_at_once(run, client):
    assert client.get("/api/v2/posts?total=true").json["page"]["total"] == 0
    run("seed", "--posts", "30", "--users", "4")
    page = client.get("/api/v2/posts?total=true&include=author").json
    assert page["page"]["total"] == 30
    assert page["items"][0]["author"]["display_name"]
    assert client.get("/api/v2/tags").json["items"]


def test_the_same_seed_is_not_sown_twice(run, refused, sql):
    run("seed", "--posts", "3", "--users", "2")
    assert "sown already" in refused("seed", "--posts", "3", "--users", "2")
    assert sql("SELECT count(*) FROM posts")[0][0] == 3


def test_nobody_can_log_in_as_one_who_was_sown(run, client, sql):
    run("seed", "--posts", "1", "--users", "1")
    ((name,),) = sql("SELECT username FROM users")
    for password in (name, "password", "seed", ""):
        assert client.post("/api/v2/auth/login", json={"username": name, "password": password}).status_code == 401
