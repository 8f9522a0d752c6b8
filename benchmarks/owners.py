"""Many users, each with a token and a list of his own, written past the application: no login would end in time."""

from __future__ import annotations

import uuid
from datetime import timedelta

from flask import Flask
from sqlalchemy import create_engine, insert, literal, select

from app import tokens
from app.models import Post, Session, Todo, User
from app.models.base import now
from benchmarks.rows import CONTENT
from benchmarks.servers import SECRET

USERS = 1000
LIST = "/api/v1/todos"
LIFETIME = timedelta(hours=1)


def made(url: str) -> list[str]:
    """Their tokens. Their lists are as long, and nearly as big, as a page of posts, of which there have to be some."""
    users, sessions, todos, posts = (model.__table__ for model in (User, Session, Todo, Post))
    until = now() + LIFETIME
    names = [f"reader{n}" for n in range(USERS)]
    each = [{"username": name, "username_key": name, "password_hash": "none", "role": "user"} for name in names]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        ids = connection.scalars(insert(users).returning(users.c.id), each).all()
        begun = {uuid.uuid4().hex: user_id for user_id in ids}
        rows = [{"id": session_id, "user_id": user_id, "expires_at": until} for session_id, user_id in begun.items()]
        connection.execute(insert(sessions), rows)
        columns = [todos.c.user_id, todos.c.task, todos.c.done, todos.c.created_at]
        theirs = select(users.c.id, literal(CONTENT), literal(False), users.c.created_at)
        twenty = theirs.join_from(users, posts, posts.c.id <= 20).where(users.c.id.in_(ids))
        connection.execute(insert(todos).from_select(columns, twenty))
    engine.dispose()
    app = Flask(__name__)
    app.config["SECRET_KEY"] = SECRET
    with app.app_context():
        return [tokens.mint(user_id, session_id, "v1", until) for session_id, user_id in begun.items()]
