"""What every refusal looks like: our error shape, a request id, no trace of what is inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import orjson

from app.extensions import db

V1 = "/api/v1/"
INSIDE = (b"Traceback", b'File "', b"sqlalchemy", b"psycopg", b"sqlite3", b"<html", b"/app/")


def assert_refused(answer: Any, path: str, status: int, *, field: str | None = None) -> None:
    """The answer has that status and is one of our errors; `field` is what it blames, if given.

    `status` is v2's: v1 says 400 where v2 says 415 or 422.
    """
    v1 = path.startswith(V1)
    wanted = 400 if v1 and status in (415, 422) else status
    assert answer.status_code == wanted, (answer.status_code, answer.data[:300])
    assert answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert not [word for word in INSIDE if word in answer.data]
    content = orjson.loads(answer.data)
    assert_shape(content, wanted, v1, answer.headers)
    if field is not None:
        errors = content["errors"]
        assert field in (errors if v1 else [error["field"] for error in errors]), content


def assert_shape(content: dict[str, Any], status: int, v1: bool, headers: Any) -> None:
    """v1's plain object, or RFC 9457's problem details."""
    if v1:
        assert headers["Content-Type"] == "application/json"
        assert content["error"] == HTTPStatus(status).phrase
        assert content["message"]
        assert set(content) <= {"error", "message", "errors", "code"}
        assert ("code" in content) == (status == 401)
        return
    assert headers["Content-Type"] == "application/problem+json"
    assert content["title"] == HTTPStatus(status).phrase
    assert content["status"] == status
    assert content["request_id"] == headers["X-Request-ID"]
    assert content["type"].endswith(content["code"])
    assert content["detail"]


def all_rows(sql: Callable[..., list[Any]]) -> list[tuple[str, str]]:
    """Every row of every table of ours, in one statement: this is asked a thousand times."""
    tables = []
    for table in db.metadata.sorted_tables:
        row = " || '|' || ".join(f"coalesce(CAST({column.name} AS TEXT), '(null)')" for column in table.columns)
        tables.append(f"SELECT '{table.name}', {row} FROM {table.name}")
    return sorted(tuple(row) for row in sql(" UNION ALL ".join(tables)))


@contextmanager
def nothing_written(sql: Callable[..., list[Any]]) -> Iterator[None]:
    """The block leaves the database as it was."""
    before = all_rows(sql)
    yield
    assert all_rows(sql) == before
