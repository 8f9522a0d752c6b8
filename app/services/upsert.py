"""An INSERT that may find its row written already."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.extensions import db


def inserting(model: type[Any]) -> Any:
    """An INSERT that knows ON CONFLICT, as both databases do in their own dialects."""
    return (postgresql_insert if db.engine.dialect.name == "postgresql" else sqlite_insert)(model)
