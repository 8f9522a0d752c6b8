"""Rows for tests (factory_boy). Use the fixtures `make_user` and `make_post`, which commit them."""

from __future__ import annotations

import factory
from factory.alchemy import SQLAlchemyModelFactory

from app.extensions import db
from app.models import Post, User
from app.services import usernames

PASSWORD = "correct horse battery"
# bcrypt of PASSWORD with 4 rounds, after BCRYPT_HANDLE_LONG_PASSWORDS' SHA-256: hashing it anew for each user is slow.
PASSWORD_HASH = "$2b$04$9/SO.hVLUX9aNCfCmkP.Fu491RLrsqd2H7/KMUcM23T.EY5.so1g2"


class _Factory(SQLAlchemyModelFactory):
    class Meta:
        abstract = True
        sqlalchemy_session_factory = lambda: db.session  # noqa: E731
        sqlalchemy_session_persistence = "commit"


class UserFactory(_Factory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")
    username_key = factory.LazyAttribute(lambda user: usernames.key(user.username))
    password_hash = PASSWORD_HASH
    role = "user"
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")


class PostFactory(_Factory):
    class Meta:
        model = Post

    title = factory.Sequence(lambda n: f"Post {n}")
    content = "Some words."
    category = "general"
