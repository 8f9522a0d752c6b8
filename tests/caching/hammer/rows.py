"""What is in a world before it is hammered: `python -m tests.caching.hammer.rows AUTHORS HOURS` prints the authors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta

from flask_migrate import upgrade
from sqlalchemy import text

from app import create_app, tokens
from app.extensions import db
from app.models import Session, Todo
from app.models.base import now
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
    """Migrate the database and make the authors, each with a token for so long: in a process of its own, since an app
    binds Celery and sets the logs up.
    """
    command = [sys.executable, "-m", __name__, str(authors), str(hours)]
    made = subprocess.run(command, env=dict(os.environ) | dict(environ), check=True, stdout=subprocess.PIPE).stdout
    return [Author(**author) for author in json.loads(made)]


def main(authors: int, hours: float) -> None:
    """Print what was made."""
    with create_app(dict(os.environ) | {"CACHE_MODE": "direct"}).app_context():
        upgrade()
        made = [_author(thing=3 * number, hours=hours) for number in range(authors)]
        with db.engine.begin() as connection:
            for table, column in (("posts", "title"), ("todos", "task")):
                statement = ONLY_GROW[db.engine.dialect.name].format(table=table, column=column)
                connection.execute(text(statement))
    print(json.dumps([asdict(author) for author in made]))


def _author(thing: int, hours: float) -> Author:
    user = UserFactory(username=f"author{thing}")
    post = PostFactory(user_id=user.id, title="0")
    todo = Todo(user_id=user.id, task="0")
    session = Session(id=os.urandom(16).hex(), user_id=user.id, expires_at=now() + timedelta(hours=hours))
    db.session.add_all([todo, session])
    db.session.commit()
    token = tokens.mint(user.id, session.id, "v2", session.expires_at)
    return Author(thing, user.id, post.id, todo.id, token)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
