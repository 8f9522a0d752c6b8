"""What is in a world before it is hammered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

from flask_migrate import upgrade
from sqlalchemy import text

from app import create_app, tasks, tokens
from app.extensions import db
from app.models import Session, Todo
from app.models.base import now
from app.tasks.delivery import ContextTask
from tests.factories import PostFactory, UserFactory

from .plan import Author

# A write that somebody has hung up on may be done at any later time; versions grow all the same.
ONLY_GROW = {
    "sqlite": """CREATE TRIGGER hammer_{table} BEFORE UPDATE OF {column} ON {table}
        WHEN CAST(NEW.{column} AS INTEGER) < CAST(OLD.{column} AS INTEGER)
        BEGIN SELECT RAISE(ABORT, 'too late'); END""",
    "postgresql": """CREATE FUNCTION hammer_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.{column}::bigint < OLD.{column}::bigint THEN RAISE 'too late'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER hammer_{table} BEFORE UPDATE OF {column} ON {table}
        FOR EACH ROW EXECUTE FUNCTION hammer_{table}()""",
}


def fill(environ: Mapping[str, str], authors: int, hours: float) -> list[Author]:
    """Migrate the database and make the authors, each with a token for so long."""
    before = getattr(ContextTask, "flask_app", None)
    app = create_app(dict(environ) | {"CACHE_MODE": "direct"})
    if before is not None:  # Celery is bound to the app that was made last: give it back to the tests'
        tasks.init_app(before)
    with app.app_context():
        upgrade()
        made = [_author(thing=3 * number, hours=hours) for number in range(authors)]
        with db.engine.begin() as connection:
            for table, column in (("posts", "title"), ("todos", "task")):
                statement = ONLY_GROW[db.engine.dialect.name].format(table=table, column=column)
                connection.execute(text(statement))
        db.session.remove()
        db.engine.dispose()
    app.extensions["coherence"].source.close()
    return made


def _author(thing: int, hours: float) -> Author:
    user = UserFactory(username=f"author{thing}")
    post = PostFactory(user_id=user.id, title="0")
    todo = Todo(user_id=user.id, task="0")
    session = Session(id=os.urandom(16).hex(), user_id=user.id, expires_at=now() + timedelta(hours=hours))
    db.session.add_all([todo, session])
    db.session.commit()
    token = tokens.mint(user.id, session.id, "v2", session.expires_at)
    return Author(thing, user.id, post.id, todo.id, token)
