"""The last page by cursor costs the database what the first does, on two thousand posts (API.md, v2: keyset cursors).

SQLite counts the steps of its machine, PostgreSQL the blocks that it touched.
"""

from __future__ import annotations

import random
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.engine import Engine

from app.extensions import db
from app.models import Post
from tests.api.v2.conftest import V2
from tests.conftest import BACKEND

POSTS = f"{V2}/posts"
ROWS, CATEGORIES, AUTHORS = 2000, 8, 8
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def many(app, make_user):
    """Two thousand posts of a few authors in a few categories, in no order but that of their times; an author's id."""
    authors = [make_user().id for _ in range(AUTHORS)]
    chance = random.Random(1)
    rows = [
        {
            "user_id": chance.choice(authors),
            "title": f"title {chance.randrange(10**6)}",
            "content": "Some words.",
            "category": f"category {chance.randrange(CATEGORIES)}",
            "created_at": FIRST + timedelta(minutes=n),
            "updated_at": FIRST + timedelta(days=chance.randrange(1000), minutes=n),
        }
        for n in range(ROWS)
    ]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(Post), rows)
    with app.app_context(), db.engine.connect() as connection:
        tidy = "ANALYZE" if BACKEND == "sqlite" else "VACUUM ANALYZE"
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(tidy))
    return authors[0]


@pytest.fixture
def spent():
    """`with spent() as work:` counts what the statements that read posts cost the database: `work["cost"]`."""

    @contextmanager
    def counting():
        work = {"cost": 0}

        def is_ours(statement):
            return statement.startswith("SELECT") and "FROM posts" in statement

        def before(connection, cursor, statement, parameters, *_):
            if BACKEND == "sqlite":
                handler = (lambda: work.update(cost=work["cost"] + 1)) if is_ours(statement) else None
                connection.connection.dbapi_connection.set_progress_handler(handler, 1)
            elif is_ours(statement):
                explaining = cursor.connection.cursor()
                explaining.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
                plan = explaining.fetchone()[0][0]["Plan"]
                work["cost"] += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

        event.listen(Engine, "before_cursor_execute", before)
        try:
            yield work
        finally:
            event.remove(Engine, "before_cursor_execute", before)
            with db.engine.connect() as connection:
                if BACKEND == "sqlite":
                    connection.connection.dbapi_connection.set_progress_handler(None, 0)

    return counting


@pytest.fixture
def cost_of(app, client, spent):
    """cost_of(name=value …): what a page that is in no cache costs."""

    def measure(**query):
        with app.app_context(), spent() as work:
            answer = client.get(POSTS, query_string=query)
        assert "fwd=" in answer.headers["Cache-Status"]
        assert len(answer.json["items"]) == query["limit"]
        return work["cost"]

    return measure


@pytest.fixture
def last_place(client):
    """last_place(name=value …): the cursor of a page near the end, with some more rows after it."""

    def walk(**query):
        places, query = [None], query | {"limit": 100, "fields": "id"}
        while len(places) == 1 or places[-1]:
            at = {"cursor": places[-1]} if places[-1] else {}
            places.append(client.get(POSTS, query_string=query | at).json["page"]["next"])
        return places[-3]

    return walk


BOTH_WAYS = [f"{sign}{name}" for name in ("published_at", "updated_at", "title") for sign in ("-", "")]
ORDERS = [{"sort": sort} for sort in (*BOTH_WAYS, "-published_at,title", "title,-published_at")]
FILTERED = [{"sort": sort, name: True} for name in ("category", "author") for sort in BOTH_WAYS]
SLACK = {"sqlite": 150, "postgresql": 20}[BACKEND]  # a row value is compared as well, and a page may begin in a block


def test_the_last_page_costs_what_the_first_does(many, cost_of, last_place, subtests):
    """With an offset it would cost the more, the further it is in the list: here at least ten times."""
    values = {"category": "category 3", "author": many}
    for case in (*ORDERS, *FILTERED):
        query = {name: values.get(name, value) for name, value in case.items()}
        with subtests.test(**query):
            place = last_place(**query)
            first, last = cost_of(limit=20, **query), cost_of(limit=20, cursor=place, **query)
            assert 0 < last <= 2 * first + SLACK


@pytest.mark.parametrize(
    ("sort", "more"),
    [
        *((sort, {}) for sort in BOTH_WAYS),
        *((sort, more) for sort in BOTH_WAYS[:2] for more in ({"category": "category 3"}, {"author": 1})),
    ],
    ids=str,
)
def test_no_page_is_sorted_or_searched_without_an_index(client, make_user, make_post, sort, more):
    """By title or change within one category or of one author there is none: what they cost grows with their posts."""
    author, plans = make_user(), []
    for _ in range(3):
        make_post(author, category="category 3")
    more = more | ({"author": author.id} if "author" in more else {})

    def explain(connection, cursor, statement, parameters, *_):
        if not (statement.startswith("SELECT") and "FROM posts" in statement):
            return
        if BACKEND == "sqlite":
            plans.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            return
        explaining = cursor.connection.cursor()
        for other in ("seqscan", "sort", "bitmapscan"):  # on few rows they are cheaper: is there a way without them?
            explaining.execute(f"SET enable_{other} = off")
        explaining.execute(f"EXPLAIN {statement}", parameters)
        plans.append(" ".join(row[0] for row in explaining))
        explaining.execute("RESET ALL")

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        page = client.get(POSTS, query_string={"sort": sort, "limit": 1, **more}).json["page"]
        client.get(POSTS, query_string={"sort": sort, "limit": 1, "cursor": page["next"], **more})
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert len(plans) == 2
    assert all(re.search("(?i)using (index )?ix_posts_live", plan) for plan in plans), plans
    assert not [plan for plan in plans if re.search(r"\bSort\b", plan)], plans
