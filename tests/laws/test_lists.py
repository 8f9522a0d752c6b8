"""Law 12: a list has a fixed number of SQL statements, whatever its length."""

from __future__ import annotations

import pytest

STATEMENTS = {
    "/api/v1/posts": 2,
    "/api/v1/posts?user_id={user}&category=general": 2,
    "/api/v1/users": 2,
    "/api/v2/posts": 1,
}


@pytest.mark.parametrize(("address", "expected"), STATEMENTS.items())
@pytest.mark.parametrize("rows", [1, 30])
def test_a_list_has_a_fixed_number_of_statements(client, make_user, make_post, count_queries, address, expected, rows):
    alice = make_user()
    for _ in range(rows):
        make_post(alice)
        make_user()
    client.get("/api/v1/posts?page=9")  # the first request of a process looks at the triggers
    with count_queries() as statements:
        answer = client.get(address.format(user=alice.id))
    assert answer.status_code == 200
    assert len(statements) == expected


def test_a_hit_runs_no_statement(client, make_user, make_post, count_queries):
    make_post(make_user())
    client.get("/api/v1/posts")
    with count_queries() as statements:
        assert "; hit;" in client.get("/api/v1/posts").headers["Cache-Status"]
    assert statements == []


def test_a_guard_costs_one_statement(make_user, as_user, count_queries):
    """The truth of what is revoked is in the database (HARDENING C10); asking it is one statement."""
    client = as_user(make_user())
    with count_queries() as statements:
        assert client.delete("/api/v1/posts/all").status_code == 403
    assert len(statements) == 1
