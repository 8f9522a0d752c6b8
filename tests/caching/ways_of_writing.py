"""Every way in which a row can change, for the oracle. A new way is one function.

Each takes the world and the address of the database, as `psql` or `sqlite3` would. A way that only one database knows
says so by its decorator.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import delete, insert, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.extensions import db
from app.models import Follow, Notification, Post, PostTag, StatisticsRefresh, Todo, User
from app.models.base import now
from app.services import statistics
from app.services.atomic import atomic
from tests.caching.conftest import World

Way = Callable[[World, str], None]
BOTH: list[Way] = []
POSTGRESQL: list[Way] = []
SQLITE: list[Way] = []
ROLLED_BACK: list[Way] = []


def way(*lists: list[Way]) -> Callable[[Way], Way]:
    """Register a way of writing."""

    def register(function: Way) -> Way:
        for each in lists:
            each.append(function)
        return function

    return register


def _new_post(world: World, **values: Any) -> dict[str, Any]:
    at = now()
    row = {"title": "New", "content": "x", "category": "news", "user_id": world.users[0].id}
    return row | {"created_at": at, "updated_at": at} | values


@way(BOTH)
def flush_of_a_new_row(world: World, url: str) -> None:
    with atomic():
        db.session.add(Post(**_new_post(world)))


@way(BOTH)
def flush_of_a_change(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(Post, world.posts[0].id).title = "Changed"


@way(BOTH)
def flush_of_a_delete(world: World, url: str) -> None:
    with atomic():
        db.session.delete(db.session.get_one(Post, world.posts[0].id))


@way(BOTH)
def flush_of_a_users_name(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(User, world.users[0].id).username = "renamed"


@way(BOTH)
def refresh_of_the_statistics(world: World, url: str) -> None:
    with atomic():
        refresh = StatisticsRefresh(scope="all", parts=list(statistics.PARTS))
        db.session.add(refresh)
    statistics.run_refresh("event", refresh.id)


@way(BOTH)
def flush_of_a_todo(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(Todo, world.todos[0]).done = True


@way(BOTH)
def todo_that_changes_hands(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(update(Todo).where(Todo.id == world.todos[0]).values(user_id=world.users[1].id))


@way(BOTH)
def flush_of_a_tag(world: World, url: str) -> None:
    with atomic():
        db.session.add(PostTag(post_id=world.posts[0].id, name="news"))


@way(BOTH)
def tag_that_moves_to_another_post(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        moved = update(PostTag).where(PostTag.post_id == world.posts[0].id, PostTag.name == "flask")
        connection.execute(moved.values(post_id=world.posts[1].id))


@way(BOTH)
def bulk_delete_of_tags(world: World, url: str) -> None:
    with atomic():
        db.session.execute(delete(PostTag).where(PostTag.name == "flask"))


@way(BOTH)
def flush_of_a_follow(world: World, url: str) -> None:
    with atomic():
        db.session.add(Follow(follower_id=world.users[2].id, followed_id=world.users[0].id))


@way(BOTH)
def bulk_delete_of_follows(world: World, url: str) -> None:
    with atomic():
        db.session.execute(delete(Follow))


@way(BOTH)
def flush_of_a_notification(world: World, url: str) -> None:
    told = {"user_id": world.users[0].id, "kind": "new_post", "post_id": world.posts[2].id}
    with atomic():
        db.session.add(Notification(event_id="another", channel="inbox", **told))


@way(BOTH)
def bulk_reading_of_the_inbox(world: World, url: str) -> None:
    with atomic():
        db.session.execute(update(Notification).values(read_at=now()))


@way(BOTH)
def profile_that_only_its_owner_and_authorship_show(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(User, world.users[0].id).avatar_url = "https://example.org/new.png"


@way(BOTH)
def merge(world: World, url: str) -> None:
    with atomic():
        db.session.merge(Post(id=world.posts[1].id, **_new_post(world, title="Merged")))


@way(BOTH)
def expression(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(Post, world.posts[0].id).title = Post.title + "!"


@way(BOTH)
def bulk_update(world: World, url: str) -> None:
    with atomic():
        db.session.execute(update(Post).where(Post.category == "news").values(title="All the same"))


@way(BOTH)
def bulk_delete(world: World, url: str) -> None:
    with atomic():
        db.session.execute(delete(Post).where(Post.category == "news"))


@way(BOTH)
def insert_of_more_rows_than_are_named_one_by_one(world: World, url: str) -> None:
    with atomic():
        db.session.execute(insert(Post), [_new_post(world, title=f"Bulk {n}") for n in range(120)])
        db.session.execute(update(Post).values(content="the same in 120 rows"))


@way(BOTH)
def core_on_the_sessions_connection(world: World, url: str) -> None:
    with atomic():
        db.session.connection().execute(
            text("UPDATE posts SET title = 'Core' WHERE id = :id"), {"id": world.posts[0].id}
        )


@way(BOTH)
def raw_sql(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE posts SET category = 'news'")


@way(BOTH)
def savepoint_that_is_released(world: World, url: str) -> None:
    with atomic(), db.session.begin_nested():
        db.session.get_one(Post, world.posts[0].id).title = "In a savepoint"


@way(BOTH)
def change_before_a_savepoint_that_is_rolled_back(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(Post, world.posts[0].id).title = "Kept"
        db.session.flush()
        with db.session.begin_nested() as savepoint:
            db.session.get_one(Post, world.posts[1].id).title = "Lost"
            db.session.flush()
            savepoint.rollback()


@way(BOTH)
def moved_foreign_key(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(Post, world.posts[0].id).user_id = world.users[2].id


@way(BOTH)
def changed_key(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE posts SET id = id + 1000000 WHERE id = :id"), {"id": world.posts[4].id})


@way(BOTH)
def cascade(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": world.users[0].id})


@way(BOTH)
def upsert(world: World, url: str) -> None:
    dialect_insert = postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert
    with atomic():
        new = dialect_insert(Post).values(**_new_post(world, id=world.posts[0].id))
        db.session.execute(new.on_conflict_do_update(index_elements=["id"], set_={"title": "Upserted"}))


@way(BOTH)
def delete_of_every_row(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM posts")


@way(BOTH)
def two_tables_in_one_transaction(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(User, world.users[1].id).role = "admin"
        db.session.get_one(Post, world.posts[1].id).deleted_at = now()


@way(BOTH)
def command_line_of_another_process(world: World, url: str) -> None:
    """`environ` is in the process's own environment (see the oracle)."""
    command = [sys.executable, "-m", "flask", "--app", "app", "users", "promote", world.users[0].username]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@way(SQLITE)
def insert_or_replace(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text(
                """INSERT OR REPLACE INTO posts (id, title, content, category, user_id, created_at, updated_at)
                SELECT id, 'Replaced', content, category, user_id, created_at, updated_at FROM posts WHERE id = :id"""
            ),
            {"id": world.posts[0].id},
        )


def _sqlite3(url: str, statement: str, *values: Any) -> None:
    """As the `sqlite3` shell: none of our PRAGMAs."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(statement, values)
    connection.close()


@way(SQLITE)
def sqlite3_shell(world: World, url: str) -> None:
    _sqlite3(url, "UPDATE posts SET title = 'From a shell' WHERE id = ?", world.posts[0].id)


@way(SQLITE)
def replace_in_the_sqlite3_shell_that_pushes_another_row_out(world: World, url: str) -> None:
    """Without `recursive_triggers` no delete trigger fires for the row that goes."""
    _sqlite3(
        url,
        """INSERT OR REPLACE INTO users (id, username, username_key, password_hash, role, created_at)
        SELECT 999999, 'usurper', username_key, password_hash, role, created_at FROM users WHERE id = ?""",
        world.users[0].id,
    )


@way(SQLITE)
def update_or_replace_in_the_sqlite3_shell_that_pushes_another_row_out(world: World, url: str) -> None:
    """Of the row that stays, only a column changes that no answer shows."""
    _sqlite3(
        url,
        "UPDATE OR REPLACE users SET username_key = (SELECT username_key FROM users WHERE id = ?) WHERE id = ?",
        world.users[0].id,
        world.users[1].id,
    )


def _psycopg(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


@way(POSTGRESQL)
def another_client(world: World, url: str) -> None:
    _psycopg(url, f"UPDATE posts SET title = 'From psql' WHERE id = {world.posts[0].id}")


@way(POSTGRESQL)
def session_in_the_role_replica(world: World, url: str) -> None:
    """Restores and replication tools write like this: ordinary triggers are silent then."""
    _psycopg(url, "SET session_replication_role = replica", "UPDATE posts SET title = 'Replicated'")


@way(POSTGRESQL)
def another_search_path(world: World, url: str) -> None:
    _psycopg(url, "SET search_path = pg_catalog", "UPDATE public.posts SET title = 'From elsewhere'")


@way(POSTGRESQL)
def truncate(world: World, url: str) -> None:
    _psycopg(url, "TRUNCATE posts CASCADE")


@way(POSTGRESQL)
def truncate_of_the_parent(world: World, url: str) -> None:
    _psycopg(url, "TRUNCATE users CASCADE")


@way(POSTGRESQL)
def copy_from(world: World, url: str) -> None:
    columns = "(user_id, title, content, category, created_at, updated_at)"
    with psycopg.connect(url) as connection, connection.cursor().copy(f"COPY posts {columns} FROM STDIN") as copy:
        copy.write_row((world.users[0].id, "Copied", "x", "news", now(), now()))


@way(POSTGRESQL)
def merge_statement(world: World, url: str) -> None:
    _psycopg(
        url,
        f"""MERGE INTO posts p USING (VALUES ({world.posts[0].id})) AS v(id) ON p.id = v.id
        WHEN MATCHED THEN UPDATE SET title = 'Merged by SQL'""",
    )


@way(POSTGRESQL)
def writable_common_table_expression(world: World, url: str) -> None:
    _psycopg(url, "WITH gone AS (DELETE FROM posts WHERE category = 'news' RETURNING id) SELECT count(*) FROM gone")


@way(ROLLED_BACK)
def transaction_that_is_rolled_back(world: World, url: str) -> None:
    connection = db.engine.connect()
    transaction = connection.begin()
    connection.execute(update(Post).values(title="Never"))
    transaction.rollback()
    connection.close()


@way(ROLLED_BACK)
def savepoint_that_is_rolled_back(world: World, url: str) -> None:
    with atomic(), db.session.begin_nested() as savepoint:
        db.session.get_one(Post, world.posts[0].id).title = "Lost"
        db.session.flush()
        savepoint.rollback()


@way(ROLLED_BACK)
def column_that_no_answer_shows(world: World, url: str) -> None:
    with atomic():
        db.session.get_one(User, world.users[0].id).password_hash = "$2b$04$another"


@way(ROLLED_BACK)
def update_that_changes_nothing(world: World, url: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE posts SET title = title"))
