"""Ways of writing that a client has, in both versions: each must show in both, at once and in every variant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import current_app

from app import tokens
from app.models import User
from app.services import sessions
from app.services.atomic import atomic
from tests.caching.conftest import World
from tests.caching.ways_of_writing import Way, way

HTTP: list[Way] = []


def _write(user: User, method: str, address: str, body: dict[str, Any] | None = None) -> None:
    """By HTTP, as any client would, with a token that is good for both versions."""
    with atomic():
        session = sessions.begin(user.id, timedelta(minutes=10))
    token = tokens.mint(user.id, session.id, "v2", session.expires_at)
    client = current_app.test_client()
    answer = client.open(address, method=method, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code < 300, answer.text


@way(HTTP)
def v1_post(world: World, url: str) -> None:
    _write(world.users[0], "POST", "/api/v1/posts", {"title": "By v1", "content": "x", "category": "news"})


@way(HTTP)
def v1_put(world: World, url: str) -> None:
    _write(world.users[0], "PUT", f"/api/v1/posts/{world.posts[0].id}", {"title": "By v1"})


@way(HTTP)
def v1_delete(world: World, url: str) -> None:
    _write(world.users[0], "DELETE", f"/api/v1/posts/{world.posts[0].id}")


@way(HTTP)
def v1_delete_of_everything(world: World, url: str) -> None:
    _write(world.users[2], "DELETE", "/api/v1/posts/all")


@way(HTTP)
def v1_put_of_a_user(world: World, url: str) -> None:
    _write(world.users[0], "PUT", f"/api/v1/users/{world.users[0].id}", {"username": "renamed-by-v1"})


@way(HTTP)
def v1_delete_of_a_user(world: World, url: str) -> None:
    _write(world.users[2], "DELETE", f"/api/v1/users/{world.users[1].id}")


@way(HTTP)
def v1_todo(world: World, url: str) -> None:
    _write(world.users[0], "PUT", f"/api/v1/todos/{world.todos[0]}", {"done": True})


@way(HTTP)
def v2_post(world: World, url: str) -> None:
    body = {"title": "By v2", "content": "x", "category": "news", "tags": ["flask", "new"]}
    _write(world.users[0], "POST", "/api/v2/posts", body)


@way(HTTP)
def v2_patch(world: World, url: str) -> None:
    _write(world.users[0], "PATCH", f"/api/v2/posts/{world.posts[0].id}", {"title": "By v2", "tags": ["zig"]})


@way(HTTP)
def v2_patch_of_tags_alone(world: World, url: str) -> None:
    _write(world.users[0], "PATCH", f"/api/v2/posts/{world.posts[0].id}", {"tags": []})


@way(HTTP)
def v2_delete(world: World, url: str) -> None:
    _write(world.users[0], "DELETE", f"/api/v2/posts/{world.posts[0].id}")


@way(HTTP)
def v2_restore(world: World, url: str) -> None:
    _write(world.users[0], "DELETE", f"/api/v2/posts/{world.posts[0].id}")
    _write(world.users[0], "PATCH", f"/api/v2/posts/{world.posts[2].id}", {"title": "Between"})
    _write(world.users[0], "POST", f"/api/v2/posts/{world.posts[0].id}/restore")


@way(HTTP)
def v2_patch_of_me(world: World, url: str) -> None:
    _write(world.users[0], "PATCH", "/api/v2/me", {"display_name": "By v2", "mobile": "+49 170 1234567"})


@way(HTTP)
def v2_registration(world: World, url: str) -> None:
    _write(world.users[0], "POST", "/api/v2/users", {"username": "newcomer", "password": "correct horse battery"})


@way(HTTP)
def v2_follow(world: World, url: str) -> None:
    _write(world.users[1], "PUT", f"/api/v2/users/{world.users[0].id}/follow")


@way(HTTP)
def v2_unfollow(world: World, url: str) -> None:
    _write(world.users[0], "DELETE", f"/api/v2/users/{world.users[1].id}/follow")


@way(HTTP)
def v2_todo(world: World, url: str) -> None:
    _write(world.users[0], "PATCH", f"/api/v2/todos/{world.todos[0]}", {"done": True})


@way(HTTP)
def v2_todo_with_other_words_in_another_place(world: World, url: str) -> None:
    body = {"after": world.todos[1], "tags": ["work"], "priority": 2}
    _write(world.users[0], "PATCH", f"/api/v2/todos/{world.todos[0]}", body)


@way(HTTP)
def v2_delete_of_a_todo_with_subtasks(world: World, url: str) -> None:
    _write(world.users[0], "DELETE", f"/api/v2/todos/{world.todos[0]}")


@way(HTTP)
def v2_reading_of_the_inbox(world: World, url: str) -> None:
    _write(world.users[0], "POST", "/api/v2/notifications/read", {})


@way(HTTP)
def v2_preference(world: World, url: str) -> None:
    _write(world.users[0], "PATCH", "/api/v2/notifications/preferences", {"digest": "daily"})


@way(HTTP)
def v2_switch(world: World, url: str) -> None:
    events = {"events": {"new_post": {"mail": False}}}
    _write(world.users[0], "PATCH", "/api/v2/notifications/preferences", events)


@way(HTTP)
def v2_mute(world: World, url: str) -> None:
    _write(world.users[0], "PUT", f"/api/v2/notifications/mutes/authors/{world.users[1].id}")


@way(HTTP)
def v2_ban(world: World, url: str) -> None:
    _write(world.users[2], "PATCH", f"/api/v2/admin/users/{world.users[0].id}", {"disabled": True})


@way(HTTP)
def v2_delete_of_an_account(world: World, url: str) -> None:
    _write(world.users[2], "DELETE", f"/api/v2/admin/users/{world.users[1].id}")
