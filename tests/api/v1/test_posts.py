"""v1's posts, beyond the tutorials' walk (API.md, v1; HARDENING E)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from app.models.post import CATEGORY_LENGTH, TITLE_LENGTH

POSTS = "/api/v1/posts"
NEW = {"title": "Hello", "content": "Words"}
FIELDS = {"id", "title", "content", "created_at", "user_id", "category"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


# One post


def test_a_post_that_is_written_can_be_read_at_its_location(alice, hers, client):
    written = hers.post(POSTS, json=NEW)
    assert written.status_code == 201
    assert written.headers["Location"] == f"{POSTS}/{written.json['id']}"
    assert client.get(written.headers["Location"]).json == written.json
    assert written.json["user_id"] == alice.id


def test_the_second_read_is_a_hit_and_a_write_is_seen_at_once(alice, hers, make_post, client):
    url = f"{POSTS}/{make_post(alice).id}"
    assert "stored" in client.get(url).headers["Cache-Status"]
    assert "hit" in client.get(url).headers["Cache-Status"]
    hers.put(url, json={"title": "New"})
    assert client.get(url).json["title"] == "New"


def test_a_post_has_six_fields_in_every_answer(alice, hers, client):
    written = hers.post(POSTS, json=NEW)
    changed = hers.put(written.headers["Location"], json={"title": "x"})
    answers = [written.json, changed.json, client.get(written.headers["Location"]).json, *client.get(POSTS).json]
    assert [set(answer) for answer in answers] == [FIELDS] * 4


def test_a_time_is_in_utc_with_microseconds_and_z(hers):
    created_at = hers.post(POSTS, json=NEW).json["created_at"]
    assert TIMESTAMP.fullmatch(created_at)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()) < 5


def test_a_post_without_a_category_is_in_general(hers):
    assert hers.post(POSTS, json=NEW).json["category"] == "general"


def test_a_post_keeps_its_category(hers):
    assert hers.post(POSTS, json=NEW | {"category": "Reisen & Essen"}).json["category"] == "Reisen & Essen"


@pytest.mark.parametrize("field", ["title", "content", "category"])
def test_an_update_is_partial(alice, hers, make_post, client, field):
    post = make_post(alice)
    url = f"{POSTS}/{post.id}"
    before = client.get(url).json
    assert hers.put(url, json={field: "new"}).json == before | {field: "new"}
    assert client.get(url).json == before | {field: "new"}


def test_an_update_of_nothing_changes_nothing(alice, hers, make_post, sql):
    post = make_post(alice)
    before = sql("SELECT * FROM posts")
    assert hers.put(f"{POSTS}/{post.id}", json={}).status_code == 200
    assert sql("SELECT * FROM posts") == before


def test_a_client_may_put_back_what_it_got(alice, hers, make_post, client):
    url = f"{POSTS}/{make_post(alice).id}"
    got = client.get(url).json
    answer = hers.put(url, json=got)
    assert (answer.status_code, answer.json) == (200, got)


def test_an_admin_who_changes_a_post_does_not_become_its_author(alice, as_user, make_user, make_post):
    post = make_post(alice)
    answer = as_user(make_user(role="admin")).put(f"{POSTS}/{post.id}", json={"title": "x"})
    assert answer.json["user_id"] == alice.id


def test_a_deleted_post_is_in_the_trash_and_not_away(alice, hers, make_post, sql):
    post = make_post(alice)
    assert hers.delete(f"{POSTS}/{post.id}").json == {"message": "Post deleted"}
    assert [row[0] is not None for row in sql("SELECT deleted_at FROM posts")] == [True]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_post_in_the_trash_is_not_there(alice, hers, make_post, method):
    url = f"{POSTS}/{make_post(alice).id}"
    hers.delete(url)
    answer = hers.open(url, method=method, json={"title": "x"})
    assert (answer.status_code, answer.json["message"]) == (404, "Post not found")


def test_deleting_all_counts_what_was_not_in_the_trash_yet(alice, hers, as_user, make_user, make_post):
    admin = as_user(make_user(role="admin"))
    gone, *_ = [make_post(alice) for _ in range(3)]
    hers.delete(f"{POSTS}/{gone.id}")
    assert [admin.delete(f"{POSTS}/all").json["count"] for _ in range(2)] == [2, 0]


# What is never written (HARDENING E4)


def test_who_writes_is_whose_token_it_is(alice, hers, make_user):
    bob = make_user()
    forged = {"user_id": bob.id, "author_id": bob.id, "user": {"id": bob.id}}
    assert hers.post(POSTS, json=NEW | forged).json["user_id"] == alice.id


FORGED = {
    "id": 4711,
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "deleted_at": "2001-01-01T00:00:00Z",
}


def test_writing_ignores_what_is_not_the_clients_to_say(hers, sql):
    assert hers.post(POSTS, json=NEW | FORGED).status_code == 201
    (row,) = sql("SELECT * FROM posts")
    written = row._mapping
    assert written["id"] != FORGED["id"]
    assert written["deleted_at"] is None
    assert not any(str(written[name]).startswith("2001") for name in ("created_at", "updated_at"))


def test_changing_ignores_what_is_not_the_clients_to_say(alice, hers, make_user, make_post, sql):
    post = make_post(alice)
    before = sql("SELECT * FROM posts")
    answer = hers.put(f"{POSTS}/{post.id}", json=FORGED | {"user_id": make_user().id})
    assert answer.status_code == 200
    assert sql("SELECT * FROM posts") == before


# Bad input


@pytest.mark.parametrize("field", ["title", "content", "category"])
@pytest.mark.parametrize("value", ["", "  ", "nul\x00", 7, ["x"], {"a": 1}, True], ids=ascii)
def test_a_bad_field_is_named(hers, sql, field, value):
    answer = hers.post(POSTS, json=NEW | {field: value})
    assert (answer.status_code, list(answer.json["errors"])) == (400, [field])
    assert sql("SELECT id FROM posts") == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_every_bad_field_is_named_at_once(alice, hers, make_post, method):
    post = make_post(alice)
    url = POSTS if method == "POST" else f"{POSTS}/{post.id}"
    answer = hers.open(url, method=method, json={"title": "", "content": 7, "category": "x" * 51})
    assert answer.status_code == 400
    assert set(answer.json["errors"]) == {"title", "content", "category"}


@pytest.mark.parametrize("field", ["title", "content", "category"])
def test_null_takes_nothing_away(alice, hers, make_post, sql, field):
    post = make_post(alice)
    before = sql("SELECT * FROM posts")
    answer = hers.put(f"{POSTS}/{post.id}", json={"title": "new"} | {field: None})
    assert (answer.status_code, list(answer.json["errors"])) == (400, [field])
    assert sql("SELECT * FROM posts") == before


@pytest.mark.parametrize(("field", "length"), [("title", TITLE_LENGTH), ("category", CATEGORY_LENGTH)])
def test_a_length_is_counted_in_characters(hers, field, length):
    emoji = "\N{GRINNING FACE}"
    assert hers.post(POSTS, json=NEW | {field: emoji * length}).json[field] == emoji * length
    assert list(hers.post(POSTS, json=NEW | {field: emoji * (length + 1)}).json["errors"]) == [field]


def test_text_is_kept_as_it_came(hers, client):
    text = "  <b>&amp;</b> \u2028 'quotes' \"more\" %s {} \t\r\n \N{GRINNING FACE} "
    url = hers.post(POSTS, json={"title": text, "content": text}).headers["Location"]
    assert (client.get(url).json["title"], client.get(url).json["content"]) == (text, text)


@pytest.mark.parametrize("id", ["0", "-1", "007", "1.0", "٧", "x", "9" * 19, str(2**63), "9" * 4000])
def test_an_id_that_is_none_is_not_there(client, id):
    answer = client.get(f"{POSTS}/{id}")
    assert answer.status_code == 404
    assert answer.json["error"] == "Not Found"
