"""`flask import PATH… --as USER`: Markdown files with front matter become posts."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import event

from app.extensions import db
from app.services import imports
from tests.conftest import BACKEND

TOML = """+++
path = "inside/2021/07/02/steering"
title = "Steering cycle"
authors = ["Felix Klock", "Niko"]
description = "What was   planned"
aliases = ["inside/2021/07/02/steering.html"]

[taxonomies]
categories = ["compiler", "Meetings"]
tags = ["Rust", "rust", "planning"]
+++
On Friday the team met.
"""
YAML = """---
title: 1984
date: 2020-02-03 04:05:06+02:00
author: Anna
category: books
tags: [reading]
---

It was a bright cold day.
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of manuscripts; give(name=text …) adds files."""
    (tmp_path / "toml.md").write_text(TOML)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "yaml.markdown").write_text(YAML)
    return tmp_path


@pytest.fixture
def take(run, make_user):
    """take(path): the command's output."""
    make_user(username="editor")

    def import_(path):
        return run("import", str(path), "--as", "editor")

    return import_


def test_toml_and_yaml_become_posts(folder, take, client, app):
    assert take(folder).endswith("2 taken, 0 changed, 0 unchanged, 0 skipped\n")
    toml, yaml = client.get("/api/v2/posts?sort=-published_at").json["items"]
    assert toml["title"] == "Steering cycle"
    assert toml["content"] == "On Friday the team met."
    assert (toml["byline"], toml["summary"]) == ("Felix Klock, Niko", "What was planned")
    assert (toml["category"], toml["tags"]) == ("compiler", ["meetings", "planning", "rust"])
    assert toml["published_at"] == "2021-07-02T00:00:00.000000Z", "from the path"
    assert (yaml["title"], yaml["byline"], yaml["category"]) == ("1984", "Anna", "books")
    assert yaml["published_at"] == "2020-02-03T02:05:06.000000Z"


@pytest.mark.parametrize("written", ["Ｒｕｓｔ ＵＩ", "RUST  ui", "rust\u00a0ui"])
def test_a_tag_is_found_however_it_was_written(tmp_path, take, client, written):
    """As one that came through the API: one spelling for both."""
    (tmp_path / "tagged.md").write_text(f"---\ntitle: Tagged\ndate: 2020-01-01\ntags: ['{written}']\n---\nwords")
    take(tmp_path)
    (found,) = client.get("/api/v2/posts", query_string={"tag": written}).json["items"]
    assert found["tags"] == ["rust ui"]


def test_a_second_run_changes_nothing(folder, take, sql):
    take(folder)
    before = sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags"), sql("SELECT * FROM post_aliases")
    assert take(folder).endswith("0 taken, 0 changed, 2 unchanged, 0 skipped\n")
    assert (sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags"), sql("SELECT * FROM post_aliases")) == before


def test_a_file_that_has_changed_changes_its_post(folder, take, client):
    take(folder)
    (folder / "toml.md").write_text(TOML.replace("Steering cycle", "Steering, again").replace('"planning"', '"plans"'))
    assert take(folder).endswith("0 taken, 1 changed, 1 unchanged, 0 skipped\n")
    (post,) = client.get("/api/v2/posts?tag=plans").json["items"]
    assert post["title"] == "Steering, again"
    assert client.get("/api/v2/posts?total=true").json["page"]["total"] == 2


def test_a_post_is_found_by_where_it_was(folder, take, client):
    take(folder)
    for address in ("/inside/2021/07/02/steering.html", "inside/2021/07/02/steering/"):
        (post,) = client.get("/api/v2/posts", query_string={"alias": address}).json["items"]
        assert post["title"] == "Steering cycle"


def test_a_draft_is_its_authors_alone(folder, take, client, as_user, sql, app):
    (folder / "draft.md").write_text(YAML.replace("tags:", "draft: true\ntags:").replace("1984", "Not yet"))
    assert "3 taken" in take(folder)
    (id,) = sql("SELECT id FROM posts WHERE draft")[0]
    assert client.get(f"/api/v2/posts/{id}").status_code == 404
    assert "Not yet" not in client.get("/api/v2/posts").text + client.get("/api/v1/posts").text


def test_what_was_put_into_the_trash_stays_there(folder, take, sql):
    take(folder)
    sql("UPDATE posts SET deleted_at = created_at WHERE title = '1984'")
    (folder / "deeper" / "yaml.markdown").write_text(YAML.replace("bright", "dark"))
    said = take(folder)
    assert "skipped   deeper/yaml.markdown: in the trash" in said
    assert sql("SELECT content FROM posts WHERE title = '1984'")[0][0] == "It was a bright cold day."


def test_nobody_is_told_of_old_news(folder, take, sql):
    take(folder)
    assert sql("SELECT count(*) FROM outbox")[0][0] == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no front matter at all", "no front matter"),
        ("+++\ntitle = \n+++\ntext", "broken front matter: "),
        ("---\ntitle: [a\n---\ntext", "broken front matter: "),
        ("---\ntitle: never closed\n", "no title"),
        ("---\ndate: 2020-01-01\n---\ntext", "no title"),
        ("---\ntitle: A\ndate: 2020-01-01\n---\n\n", "no text"),
        ("---\ntitle: A\n---\ntext", "no date"),
        ("---\ntitle: A\ndate: soon\n---\ntext", "its date is none"),
        ("---\ntitle: A\ndate: 2020-01-01\n---\n" + "x" * 250_001, "250000 at most"),
        ("---\ntitle: A\ndate: 2020-01-01\n---\na\x00b", "NUL"),
    ],
    ids=range(10),
)
def test_a_file_that_does_not_fit_is_named_and_skipped(tmp_path, take, sql, text, reason):
    (tmp_path / "bad.md").write_text(text)
    (tmp_path / "good.md").write_text(YAML)
    said = take(tmp_path)
    assert "skipped   bad.md: " in said
    assert reason in said
    assert said.endswith("1 taken, 0 changed, 0 unchanged, 1 skipped\n")
    assert sql("SELECT title FROM posts") == [("1984",)]


def test_a_binary_file_is_named_and_skipped(tmp_path, take):
    (tmp_path / "bad.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    assert "skipped   bad.md: not UTF-8: a binary file?" in take(tmp_path)


def test_a_link_to_nowhere_is_named_and_skipped(tmp_path, take):
    (tmp_path / "bad.md").symlink_to(tmp_path / "nowhere")
    assert "skipped   bad.md: cannot be read: No such file or directory" in take(tmp_path)


def test_a_loop_of_folders_is_walked_once(folder, take):
    os.symlink(folder, folder / "deeper" / "loop")
    assert take(folder).endswith("2 taken, 0 changed, 0 unchanged, 0 skipped\n")


def test_a_section_is_no_post(folder, take):
    (folder / "_index.md").write_text("+++\ntitle = 'Blog'\n+++\n")
    assert "skipped   _index.md: a section, not a post" in take(folder)


def test_what_is_too_long_is_cut_and_said(tmp_path, take, client):
    (tmp_path / "long.md").write_text(f"---\ntitle: {'a' * 300}\ndate: 2020-01-01\n---\ntext")
    assert "taken     long.md: title cut to 200 characters" in take(tmp_path)
    assert len(client.get("/api/v2/posts").json["items"][0]["title"]) == 200


def test_the_user_must_be_there(refused, folder):
    assert refused("import", str(folder), "--as", "nobody") == "there is no user nobody"


def test_a_write_that_fails_leaves_no_half_of_a_post(folder, make_user, refused, sql, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(imports, "_give_aliases", fail)
    make_user(username="editor")
    assert "No space left on device" in refused("import", str(folder), "--as", "editor")
    assert sql("SELECT count(*) FROM posts")[0][0] == 0


@pytest.fixture
def full(app, environ, sql):
    """`with full():` the database takes one post more of 100 kB, not two.

    SQLite may have no more pages. PostgreSQL's disk is not ours to fill: it says what it would say.
    """
    if BACKEND == "postgresql":

        @contextmanager
        def filled():
            sql("""CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'database or disk is full'; END $$""")
            sql("""CREATE TRIGGER disk_full BEFORE INSERT ON posts FOR EACH ROW WHEN (NEW.title <> 'Post 0')
                EXECUTE FUNCTION disk_full()""")
            try:
                yield
            finally:
                sql("DROP FUNCTION disk_full CASCADE")

        return filled

    @contextmanager
    def bounded():
        with closing(sqlite3.connect(environ["DATABASE_URL"].removeprefix("sqlite:///"))) as connection:
            connection.execute("VACUUM")  # no free pages of earlier tests
            ((pages,),) = connection.execute("PRAGMA page_count").fetchall()

        def bound(connection, record):
            connection.execute(f"PRAGMA max_page_count = {pages + 40}")  # of 4 kB

        with app.app_context():
            db.engine.dispose()
            event.listen(db.engine, "connect", bound)
            try:
                yield
            finally:
                event.remove(db.engine, "connect", bound)
                db.engine.dispose()

    return bounded


def test_a_disk_that_fills_stops_it_between_two_posts_and_a_second_run_goes_on(tmp_path, take, refused, sql, full):
    for n in range(3):
        (tmp_path / f"{n}.md").write_text(f"---\ntitle: Post {n}\ndate: 2020-01-01\n---\n{'word ' * 20_000}")
    with full():
        assert "database or disk is full" in refused("import", str(tmp_path), "--as", "editor")
    assert sql("SELECT title, length(content) FROM posts") == [("Post 0", 99_999)]
    assert "2 taken, 0 changed, 1 unchanged" in take(tmp_path)
    assert sql("SELECT count(*) FROM posts") == [(3,)]
