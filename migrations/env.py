"""Alembic's entry, called by Flask-Migrate. After each upgrade the cache's triggers are installed."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import text

from app.caching import triggers
from app.extensions import db

CACHE_TABLES = ("cache_generations", "cache_moves", "cache_upto")


def include_object(thing: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """The cache's tables and triggers are made from `app/caching/dependencies.py`, not from models."""
    return not (type_ == "table" and name in CACHE_TABLES)


def run() -> None:
    """Migrate on one connection, in one transaction."""
    options = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        connection = connection.execution_options(immediate=True)
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            include_object=include_object,
            transactional_ddl=True,  # all or nothing, on SQLite too
            **options,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))  # an index on a large table takes its time
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('broadsheet migrations'))"))
            context.run_migrations()
            # Batch migrations on SQLite drop a table's triggers: they are made anew from the page. It speaks of the
            # newest tables; a step back leaves them to the release that knows the older ones.
            if context.get_context().get_current_revision() == context.get_head_revision():
                triggers.install(connection)


run()
