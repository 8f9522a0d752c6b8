"""Todos that belong to a post: a draft is not published while one that it requires is open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.v2.conftest import V2, fields_of

TODOS, POSTS = f"{V2}/todos", f"{V2}/posts"


@pytest.fixture
def draft(alice, make_post):
    return make_post(alice, draft=True)


@pytest.fixture
def write(hers, draft):
    """write(task, field=value …): the id of a new todo of the draft's, which it requires."""

    def send(task="Draw", **data):
        answer = hers.post(TODOS, json={"task": task, "post_id": draft.id, "required": True} | data)
        assert answer.status_code == 201, answer.json
        return answer.json["id"]

    return send


@pytest.fixture
def publish(hers, draft):
    """publish(): the answer."""
    return lambda: hers.patch(f"{POSTS}/{draft.id}", json={"draft": False, "title": "New"})


def test_a_draft_with_open_required_todos_is_not_published_and_they_are_named(write, publish, client, hers, draft, sql):
    ids = [write("Draw"), write("Ask Ada")]
    answer = publish()
    assert (answer.status_code, answer.json["code"]) == (409, "todos_open")
    named = [(error["field"], error["code"], error["message"]) for error in answer.json["errors"]]
    assert named == [(f"todos.{ids[0]}", "open", "Draw"), (f"todos.{ids[1]}", "open", "Ask Ada")]
    assert client.get(f"{POSTS}/{draft.id}").status_code == 404
    assert sql("SELECT title FROM posts WHERE title = 'New'") == []
    assert sql("SELECT count(*) FROM outbox") == [(0,)]


def test_an_admin_who_would_publish_it_is_not_told_anothers_todos(write, admins, draft):
    write("A secret")
    answer = admins.patch(f"{POSTS}/{draft.id}", json={"draft": False})
    assert (answer.status_code, answer.json["code"]) == (409, "todos_open")
    assert "A secret" not in answer.text


def test_once_they_are_done_it_is_published(write, publish, hers, client, draft):
    id = write()
    assert publish().status_code == 409
    hers.patch(f"{TODOS}/{id}", json={"done": True})
    assert publish().status_code == 200
    assert client.get(f"{POSTS}/{draft.id}").status_code == 200


@pytest.mark.parametrize("data", [{"required": False}, {"post_id": None}, {"done": True}], ids=str)
def test_other_todos_keep_nothing_back(write, publish, data):
    write(**data)
    assert publish().status_code == 200


def test_a_draft_with_open_todos_can_still_be_written(write, hers, draft):
    write()
    assert hers.patch(f"{POSTS}/{draft.id}", json={"title": "Better"}).status_code == 200


def test_what_is_published_already_can_be_changed_whatever_is_open(hers, alice, make_post, write):
    post = make_post(alice)
    write(post_id=post.id)
    assert hers.patch(f"{POSTS}/{post.id}", json={"title": "Better", "draft": False}).status_code == 200


def test_a_todo_belongs_to_a_post_of_ones_own(hers, root, alice, make_post, sql):
    anothers, in_trash = make_post(root), make_post(alice)
    sql("UPDATE posts SET deleted_at = '2026-01-01' WHERE id = :id", id=in_trash.id)
    answers = [hers.post(TODOS, json={"task": "x", "post_id": id}) for id in (anothers.id, in_trash.id, 987654321)]
    assert {(answer.status_code, *fields_of(answer)) for answer in answers} == {(422, "post_id")}
    assert len({answer.json["errors"][0]["message"] for answer in answers}) == 1


def test_the_todos_of_a_post_are_listed(write, hers, draft):
    write("Draw")
    write("Sleep", post_id=None)
    items = hers.get(TODOS, query_string={"post_id": draft.id}).json["items"]
    assert [(item["task"], item["post_id"]) for item in items] == [("Draw", draft.id)]


def test_a_post_that_is_gone_for_good_leaves_its_todos_behind(write, hers, draft, sql):
    id = write()
    assert hers.get(f"{TODOS}/{id}").json["post_id"] == draft.id
    sql("DELETE FROM posts WHERE id = :id", id=draft.id)
    assert hers.get(f"{TODOS}/{id}").json["post_id"] is None


def test_who_publishes_while_a_required_todo_is_written_has_one_of_both(hers, publish, draft, sql, app):
    """Either the post was out before the todo was there, or it is not out."""
    token = {"Authorization": hers.environ_base["HTTP_AUTHORIZATION"]}
    todo = {"task": "Draw", "post_id": draft.id, "required": True}

    def write():
        return app.test_client().post(TODOS, json=todo, headers=token)

    def out():
        return app.test_client().patch(f"{POSTS}/{draft.id}", json={"draft": False}, headers=token)

    with ThreadPoolExecutor(2) as pool:
        written, published = (pool.submit(act) for act in (write, out))
        assert (written.result().status_code, published.result().status_code) in ((201, 200), (201, 409))
    assert publish().status_code == published.result().status_code
