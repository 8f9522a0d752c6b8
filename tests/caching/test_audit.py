"""CACHE.md, proof 5: each table that a cached answer reads moves one of its tags."""

from __future__ import annotations

import uuid

import pytest
from flask import Response
from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    joinedload,
    mapped_column,
    relationship,
    undefer,
)

from app.caching import POSTS, USERS, audit, cache
from app.extensions import db
from app.models import Post, Session, User


def test_every_cached_address_reads_only_tables_that_move_its_tags(app, world, reader, monkeypatch):
    """At each fill the audit compares; here all of them are seen to pass, and to have read something."""
    seen = {}
    undeclared = audit.undeclared

    def noting(tables, tags):
        seen[len(seen)] = (set(tables), undeclared(tables, tags))
        return undeclared(tables, tags)

    monkeypatch.setattr(audit, "undeclared", noting)
    for address in world.addresses:
        assert reader.get(address).headers["Cache-Status"].endswith("; stored"), address
    assert len(seen) == len(world.addresses)
    assert all(tables and not unknown for tables, unknown in seen.values())


@pytest.fixture
def route(app):
    """route(query, tags): what Cache-Status says of a handler that runs the query under these tags, twice."""

    def ask(query, tags):
        name = uuid.uuid4().hex

        @cache.cached(tags=tags, make_cache_key=lambda: name)
        def handler(resource):
            db.session.execute(query)
            return Response(b"{}", mimetype="application/json")

        with app.test_request_context("/api/v1/posts"):
            return [handler(None).headers["Cache-Status"] for _ in range(2)]

    return ask


def test_a_declared_table_is_kept(route, app):
    assert "; hit;" in route(select(Post), POSTS)[1]


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        (select(Session), POSTS),
        (select(Post).join(Post.author), POSTS),
        (select(Post).where(Post.user_id.in_(select(User.id))), POSTS),
        (select(Post), USERS),
        (text("SELECT 1 FROM posts"), POSTS),
    ],
    ids=["a table that no tag covers", "a join", "a subquery", "the wrong tag", "SQL as text"],
)
def test_an_undeclared_table_is_answered_but_never_kept(route, app, query, tags):
    assert route(query, tags) == ["broadsheet; fwd=uri-miss; detail=undeclared"] * 2


def test_a_second_table_is_kept_when_both_are_declared(route, app):
    assert "; hit;" in route(select(Post).join(Post.author), (POSTS, USERS))[1]


def test_what_the_orm_adds_to_a_statement_is_seen(route, app):
    """A relationship's join or a column property's subquery is not in the statement that was written."""

    class Local(DeclarativeBase):
        pass

    class Author(Local):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Written(Local):
        __tablename__ = "posts"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
        author: Mapped[Author] = relationship()
        authors = column_property(select(func.count(Author.id)).scalar_subquery(), deferred=True)

    for query in (
        select(Written).options(joinedload(Written.author)),
        select(Written.id).join(Written.author),
        select(Written).options(undefer(Written.authors)),
    ):
        assert route(query, POSTS) == ["broadsheet; fwd=uri-miss; detail=undeclared"] * 2, query
