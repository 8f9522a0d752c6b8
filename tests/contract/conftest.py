"""Fixtures: the users in whose name strangers' programs call the API. The programs are beside our own packages."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import orjson
import pytest
from flask import Flask

from app.extensions import db
from app.models import Notification, Post, User
from tests.contract import OTHERS
from tests.factories import PASSWORD_HASH

sys.path.append(str(OTHERS))
ROLES = {"alice": "user", "admin": "admin", "bob": "user"}
CHANGED = "role <> :role OR password_hash <> :hash OR disabled_at IS NOT NULL OR deleted_at IS NOT NULL"
RESTORE = "UPDATE users SET role = :role, password_hash = :hash, disabled_at = NULL, deleted_at = NULL WHERE id = :id"
LIVING = "SELECT 1 FROM sessions WHERE id = :id AND revoked_at IS NULL"


@dataclass
class Doorkeeper:
    """Gives each actor a token. Made-up calls log him out, change his role and password, shut or delete his account:
    whatever has happened, at the door he is again who he was, and his token is good."""

    actors: dict[str, User]
    sql: Callable[..., list[Any]]
    token_of: Callable[..., str]
    tokens: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self, name: str) -> str:
        user = self.actors[name]
        with self.lock:
            self.sql(f"{RESTORE} AND ({CHANGED})", id=user.id, role=user.role, hash=PASSWORD_HASH)
            if name not in self.tokens or not self.sql(LIVING, id=_session_of(self.tokens[name])):
                self.tokens[name] = self.token_of(user, "v2")
            return self.tokens[name]


def _session_of(token: str) -> str:
    id: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return id


@pytest.fixture
def tell(app: Flask) -> Callable[[User, Post], None]:
    """tell(user, post): a row in his inbox."""

    def add(user: User, post: Post) -> None:
        with app.app_context():
            values = {"user_id": user.id, "post_id": post.id, "kind": "new_post", "channel": "inbox"}
            db.session.add(Notification(event_id=f"post {post.id}", **values))
            db.session.commit()

    return add


@pytest.fixture
def door(
    make_user: Callable[..., User],
    make_post: Callable[..., Post],
    tell: Callable[[User, Post], None],
    token_of: Callable[..., str],
    sql: Callable[..., list[Any]],
) -> Iterator[str]:
    """The address at which `POST /alice` answers with alice's token; also for bob and the admin. Each of them has
    written a post and been told of it."""
    keeper = Doorkeeper({name: make_user(username=name, role=role) for name, role in ROLES.items()}, sql, token_of)
    for user in keeper.actors.values():
        tell(user, make_post(user))

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = orjson.dumps({"token": keeper.token(self.path.strip("/"))})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
