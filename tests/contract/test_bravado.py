"""bravado, a Swagger 2.0 client made from the description at run time, does the main job.

It checks the description before it starts, what it sends, and each answer: a wrong type or a status that nobody
described is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from bravado.client import SwaggerClient
from bravado.exception import (
    HTTPBadRequest,
    HTTPForbidden,
    HTTPNotFound,
    HTTPPreconditionFailed,
    HTTPUnauthorized,
    HTTPUnprocessableEntity,
)
from bravado.requests_client import RequestsClient
from jsonschema import ValidationError

from tests.factories import PASSWORD
from tests.servers import WebServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*format is not registered with bravado-core"),
    pytest.mark.filterwarnings("ignore:Accessing Validator.resolver:DeprecationWarning"),  # jsonschema's, that it uses
]
SpeakAs = Callable[[str | None], None]


@pytest.fixture(scope="module")
def http() -> RequestsClient:
    """What the client sends with."""
    return RequestsClient()


@pytest.fixture(scope="module")
def api(server: WebServer, http: RequestsClient) -> Any:
    """The client: a method for each operation, in the order of tags."""
    return SwaggerClient.from_url(f"{server.url}/api/swagger.json", http_client=http)


@pytest.fixture
def speak_as(server: WebServer, http: RequestsClient) -> Iterator[SpeakAs]:
    """speak_as(token): show this token from now on."""

    def show(token: str | None) -> None:
        host = urlsplit(server.url).netloc
        http.set_api_key(host, f"Bearer {token}", param_name="Authorization", param_in="header")

    yield show
    http.authenticator = None


def test_a_stranger_registers_logs_in_and_writes_with_v1(api: Any, speak_as: SpeakAs) -> None:
    person = api.get_model("UserCreateV1")(username="alice", password=PASSWORD, email="alice@example.org")
    alice = api.v1_users.create_user(payload=person).result()
    assert (alice.username, alice.role, alice.mobile) == ("alice", "user", None)
    login = api.v1_users.login_user(payload={"username": "alice", "password": PASSWORD}).result()

    speak_as(login.token)
    post = api.v1_posts.create_post(payload={"title": "Hello", "content": "Words."}).result()
    assert (post.title, post.user_id) == ("Hello", alice.id)
    assert isinstance(post.created_at, datetime)
    assert [p.id for p in api.v1_posts.list_posts(user_id=alice.id).result()] == [post.id]
    assert api.v1_posts.update_post(id=post.id, payload={"title": "Bye"}).result().title == "Bye"
    assert api.v1_posts.get_post(id=post.id).result() == api.v1_posts.list_posts().result()[0]
    assert api.v1_posts.delete_post(id=post.id).result().message == "Post deleted"
    todo = api.v1_todos.create_todo(payload={"task": "Buy ink"}).result()
    assert (todo.task, todo.done, todo.due_at) == ("Buy ink", False, None)
    assert api.v1_users.logout_user().result().message == "Logged out"


def test_a_stranger_registers_logs_in_and_writes_with_v2(api: Any, speak_as: SpeakAs) -> None:
    person = api.get_model("AccountCreateV2")(username="alice", password=PASSWORD)
    alice = api.v2_users.create_user_v2(payload=person).result()
    login = api.v2_auth.login_v2(payload={"username": "alice", "password": PASSWORD}).result()
    fresh = api.v2_auth.refresh_v2(payload={"refresh_token": login.refresh_token}).result()

    speak_as(fresh.access_token)
    assert api.v2_me.get_me_v2().result().id == alice.id
    posts = [
        api.v2_posts.create_post_v2(payload={"title": title, "content": "Words.", "tags": ["Python"]}).result()
        for title in ("One", "Two", "Three")
    ]
    assert (posts[0].title, posts[0].tags, posts[0].author_id) == ("One", ["python"], alice.id)
    first = api.v2_posts.list_posts_v2(author=alice.id, limit=2, include="author", total=True).result()
    second = api.v2_posts.list_posts_v2(author=alice.id, limit=2, cursor=first.page.next).result()
    assert [post.title for post in first.items + second.items] == ["Three", "Two", "One"]
    assert (first.items[0].author.username, first.page.total, second.page.next) == ("alice", 3, None)
    changed = api.v2_posts.update_post_v2(id=posts[0].id, payload={"title": "Uno", "tags": []}).result()
    assert (changed.title, changed.tags, changed.content) == ("Uno", [], "Words.")
    assert api.v2_posts.get_post_v2(id=posts[0].id).result() == changed
    assert api.v2_posts.delete_post_v2(id=posts[0].id).result() is None
    assert [post.title for post in api.v2_posts.list_trash_v2().result().items] == ["Uno"]
    assert api.v2_posts.restore_post_v2(id=posts[0].id).result().title == "Uno"
    todo = api.v2_todos.create_todo_v2(payload={"task": "Buy ink"}).result()
    assert (todo.task, todo.done, todo.due_at) == ("Buy ink", False, None)
    assert api.v2_auth.logout_v2().result() is None


def test_errors_are_exceptions_of_their_own_with_v1(
    api: Any, speak_as: SpeakAs, make_user: Any, make_post: Any, token_of: Any
) -> None:
    post = make_post(make_user())
    with pytest.raises(HTTPNotFound) as error:
        api.v1_posts.get_post(id=post.id + 1).result()
    assert error.value.swagger_result.message == "Post not found"
    with pytest.raises(HTTPBadRequest) as error:
        api.v1_users.create_user(payload={"username": "two words", "password": PASSWORD}).result()
    assert list(error.value.swagger_result.errors) == ["username"]
    speak_as("no token")
    with pytest.raises(HTTPUnauthorized) as error:
        api.v1_posts.create_post(payload={"title": "Hello", "content": "Words."}).result()
    assert error.value.swagger_result.code == "invalid_token"
    speak_as(token_of(make_user()))
    with pytest.raises(HTTPForbidden):
        api.v1_posts.update_post(id=post.id, payload={"title": "Mine"}).result()


def test_errors_are_exceptions_of_their_own_with_v2(
    api: Any, speak_as: SpeakAs, make_user: Any, make_post: Any, token_of: Any
) -> None:
    alice = make_user()
    post = make_post(alice)
    with pytest.raises(HTTPNotFound) as error:
        api.v2_posts.get_post_v2(id=post.id + 1).result()
    assert error.value.response.json()["detail"] == "Post not found"
    with pytest.raises(HTTPUnauthorized):
        api.v2_me.get_me_v2().result()
    with pytest.raises(HTTPUnprocessableEntity) as error:
        api.v2_users.create_user_v2(payload={"username": "bob", "password": "password"}).result()
    assert error.value.response.json()["errors"][0]["code"] == "too_weak"
    speak_as(token_of(alice, "v2"))
    with pytest.raises(HTTPPreconditionFailed):
        api.v2_posts.update_post_v2(id=post.id, payload={"title": "Late"}, **{"If-Match": '"old"'}).result()
    speak_as(token_of(make_user(), "v2"))
    with pytest.raises(HTTPForbidden):
        api.v2_posts.delete_post_v2(id=post.id).result()


def test_a_notification_outlives_its_post(
    api: Any, speak_as: SpeakAs, make_user: Any, make_post: Any, token_of: Any, tell: Any
) -> None:
    """What is nested and null is where clients of Swagger 2.0 differ."""
    alice = make_user()
    post = make_post(alice)
    tell(alice, post)
    speak_as(token_of(alice, "v2"))
    [told] = api.v2_notifications.list_notifications_v2().result().items
    assert (told.post.id, told.read_at) == (post.id, None)
    assert api.v2_posts.delete_post_v2(id=post.id).result() is None
    [told] = api.v2_notifications.list_notifications_v2().result().items
    assert told.post is None


def test_what_does_not_fit_the_description_is_not_even_sent(api: Any) -> None:
    with pytest.raises(ValidationError):
        api.v2_posts.list_posts_v2(limit=101)
