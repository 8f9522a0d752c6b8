"""The same rows for everybody, written past the applications: by one statement, as an import would."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, inspect, text

CATEGORIES = ("general", "news", "flask", "caching", "databases")
CONTENT = "The quick brown fox jumps over the lazy dog. " * 9  # 405 characters: twenty posts are some 11 kB
AT = {  # one a second
    "sqlite": "strftime('%Y-%m-%d %H\\:%M\\:%S.000000', '2026-01-01', '+' || n || ' seconds')",
    "postgresql": "timestamp '2026-01-01' + n * interval '1 second'",
}


def fill(url: str, posts: int, *, user_id: int) -> None:
    """Write so many posts of this user: ids from 1, the newest has the highest."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(text(_insert(engine)), {"posts": posts, "user": user_id, "content": CONTENT})
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence('posts', 'id'), :last)"), {"last": posts})
    if engine.dialect.name == "postgresql":  # autovacuum would do it in a minute; SQLite never does by itself
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def _insert(engine: Engine) -> str:
    """Into the columns that the table has here."""
    at = AT[engine.dialect.name]
    names = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(CATEGORIES))
    values = {
        "id": "n",
        "user_id": ":user",
        "title": "'Version 0'",
        "content": ":content",
        "category": f"CASE n % {len(CATEGORIES)} {names} END",
        "created_at": at,
        "updated_at": at,
    }
    columns = [column["name"] for column in inspect(engine).get_columns("posts") if column["name"] in values]
    return (
        f"INSERT INTO posts ({', '.join(columns)}) "
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :posts) "
        f"SELECT {', '.join(values[name] for name in columns)} FROM numbers"
    )
