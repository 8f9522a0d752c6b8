"""Law 12: a list has a fixed number of SQL statements, whatever its length."""

from __future__ import annotations

import pytest

from app.models.base import now

STATEMENTS = {
    "/api/v1/posts": 1,
    "/api/v1/posts?user_id={user}&category=general": 1,
    "/api/v1/posts?page=8": 2,
    "/api/v1/users": 2,
    "/api/v2/posts": 2,
    "/api/v2/posts?include=author&total=true": 3,
    "/api/v2/posts?tag=trains&author={user}&category=general&sort=title": 2,
    "/api/v2/tags?total=true": 2,
    "/api/v2/categories": 1,
    "/api/v2/users/{user}/followers?total=true": 3,
    "/api/v2/users/{user}/following": 2,
}
# With the guard's look at who asks, and the fill's.
PRIVATE_STATEMENTS = {
    "/api/v1/todos": 4,
    "/api/v2/todos": 3,
    "/api/v2/todos?total=true": 4,
    "/api/v2/todos?sort=-priority,due_at&tag=home&overdue=false": 3,
    "/api/v2/notifications": 4,
    "/api/v2/notifications/mutes?total=true": 4,
    "/api/v2/posts/drafts": 4,
    "/api/v2/posts/trash": 4,
    "/api/v2/admin/users?total=true": 4,
    "/api/v2/admin/outbox/messages?state=waiting&total=true": 3,
    "/api/v2/webhooks?total=true": 4,
    "/api/v2/webhooks/{webhook}/deliveries?total=true": 5,
}


@pytest.mark.parametrize(("address", "expected"), STATEMENTS.items())
@pytest.mark.parametrize("rows", [1, 30])
def test_a_list_has_a_fixed_number_of_statements(
    client, make_user, make_post, sql, count_queries, address, expected, rows
):
    alice = make_user()
    for n in range(rows):
        post = make_post(alice)
        follower = make_user()
        sql("INSERT INTO post_tags (post_id, name) VALUES (:post, :name)", post=post.id, name=f"tag {n}")
        sql("INSERT INTO post_tags (post_id, name) VALUES (:post, 'trains')", post=post.id)
        follow = "INSERT INTO follows (follower_id, followed_id, created_at) VALUES (:one, :other, '2026-01-01')"
        sql(follow, one=follower.id, other=alice.id)
        sql(follow, one=alice.id, other=follower.id)
    client.get("/api/v1/posts?page=9")  # the first request of a process looks at the triggers
    with count_queries() as statements:
        answer = client.get(address.format(user=alice.id))
    assert answer.status_code == 200
    assert len(statements) == expected


@pytest.mark.parametrize(("address", "expected"), PRIVATE_STATEMENTS.items())
@pytest.mark.parametrize("rows", [1, 30])
def test_a_private_list_has_a_fixed_number_of_statements(
    as_user, make_user, make_post, make_todo, sql, count_queries, address, expected, rows
):
    admin = make_user(role="admin")
    for _ in range(rows):
        make_todo(admin)
        post = make_post(admin, deleted_at=now())
        make_post(admin, draft=True)
        told = "INSERT INTO notifications (event_id, user_id, channel, kind, post_id, created_at)"
        sql(f"{told} VALUES ('e{post.id}', :id, 'inbox', 'new_post', :post, '2026-01-01')", id=admin.id, post=post.id)
        mute = "INSERT INTO notification_mutes (user_id, post_id, created_at) VALUES (:id, :post, '2026-01-01')"
        sql(mute, id=admin.id, post=post.id)
        due = "INSERT INTO outbox (event_id, event, subscriber, ids, created_at, next_attempt_at, attempts)"
        sql(f"{due} VALUES ('e', 'x', 'x', '{{}}', '2026-01-01', '2026-01-01', 0)")
        hook = "INSERT INTO webhooks (user_id, url, events, scope, active, secret, created_at)"
        sql(f"{hook} VALUES (:id, 'https://x', '[\"ping\"]', 'own', true, 'x', '2026-01-01')", id=admin.id)
        webhook = sql("SELECT min(id) FROM webhooks")[0][0]
        called = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, body, round, tries, attempts, created_at)"
        sql(f"{called} VALUES (:id, :e, 'ping', '{{}}', 1, 0, '[]', '2026-01-01')", id=webhook, e=f"e{post.id}")
    client = as_user(admin, "v2")
    with count_queries() as statements:
        assert client.get(address.format(webhook=webhook)).status_code == 200
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
