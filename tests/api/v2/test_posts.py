"""v2's posts: write, read, change, delete (API.md, `/posts`; HARDENING E)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.http import parse_date

from app.models.post import CATEGORY_LENGTH, MOST_TAGS, TAG_LENGTH, TITLE_LENGTH
from tests.api.v2.conftest import V2, fields_of

POSTS = f"{V2}/posts"
NEW = {"title": "Hello", "content": "Words"}
FIELDS = {"id", "title", "summary", "content", "category", "tags", "author_id", "byline", "draft"}
FIELDS |= {"published_at", "updated_at"}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(alice, make_post, sql):
    """The address of an old post of Alice's, with two tags."""
    post = make_post(alice, created_at=LONG_AGO, updated_at=LONG_AGO)
    for name in ("steam", "trains"):
        sql("INSERT INTO post_tags (post_id, name) VALUES (:id, :name)", id=post.id, name=name)
    return f"{POSTS}/{post.id}"


# Writing


def test_a_post_that_is_written_can_be_read_at_its_location(alice, hers, client):
    written = hers.post(POSTS, json=NEW | {"category": "trains", "tags": ["steam"]})
    assert written.status_code == 201
    assert written.headers["Location"] == f"{POSTS}/{written.json['id']}"
    assert set(written.json) == FIELDS
    expected = NEW | {"category": "trains", "tags": ["steam"], "author_id": alice.id}
    assert {name: written.json[name] for name in expected} == expected
    assert client.get(written.headers["Location"]).json == written.json


def test_a_post_has_a_default_category_and_no_tags(hers):
    written = hers.post(POSTS, json=NEW).json
    assert (written["category"], written["tags"]) == ("general", [])


def test_a_new_post_was_published_now_and_never_changed(hers):
    written = hers.post(POSTS, json=NEW).json
    assert TIMESTAMP.fullmatch(written["published_at"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(written["published_at"])) < timedelta(seconds=5)
    assert written["updated_at"] == written["published_at"]


def test_who_is_to_hear_of_a_post_is_noted_with_it(hers, sql):
    written = hers.post(POSTS, json=NEW).json
    noted = sql("SELECT subscriber, ids FROM outbox ORDER BY subscriber")
    assert [name for name, _ in noted] == [
        "notify_admins",
        "notify_author",
        "notify_followers",
        "notify_webhooks_of_post",
    ]
    assert all(str(written["id"]) in str(ids) for _, ids in noted)


@pytest.mark.parametrize("fields", [{"tags": ["a", "b"]}, {}], ids=["tags", "none"])
def test_a_post_that_was_written_twice_under_a_key_is_one(hers, sql, fields):
    headers = {"Idempotency-Key": "k"}
    first, second = (hers.post(POSTS, json=NEW | fields, headers=headers) for _ in "ab")
    assert (first.status_code, second.status_code, second.json) == (201, 201, first.json)
    assert second.headers["Location"] == first.headers["Location"]
    assert (second.headers["Idempotency-Replayed"], "Idempotency-Replayed" in first.headers) == ("true", False)
    assert sql("SELECT count(*) FROM posts") == [(1,)]


@pytest.mark.parametrize(
    ("key", "body"), [("k", NEW | {"tags": ["other"]}), ("a b", NEW), ("", NEW), ("x" * 256, NEW)], ids=ascii
)
def test_a_key_that_is_none_or_was_used_for_another_post_is_refused(hers, sql, key, body):
    hers.post(POSTS, json=NEW, headers={"Idempotency-Key": "k"})
    answer = hers.post(POSTS, json=body, headers={"Idempotency-Key": key})
    assert (answer.status_code, fields_of(answer)) == (422, ["Idempotency-Key"])
    assert sql("SELECT count(*) FROM posts") == [(1,)]


def test_a_key_belongs_to_one_version(hers, as_user, alice):
    """The answers differ in shape: one is never given for the other."""
    hers.post(POSTS, json=NEW, headers={"Idempotency-Key": "k"})
    answer = as_user(alice, "v2").post("/api/v1/posts", json=NEW, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["Idempotency-Key"])


# Tags


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["Python", "python", " PYTHON "], ["python"]),
        (["b", "a", "c", "a"], ["a", "b", "c"]),
        (["ＦＵＬＬ　ＷＩＤＴＨ"], ["full width"]),
        (["Straße"], ["strasse"]),
        (["tea\t\n time"], ["tea time"]),
        (["e\u0301te"], ["\u00e9te"]),
        (["漢字", "😀", "c++", "a-b", "a b", "ab"], ["a b", "a-b", "ab", "c++", "漢字", "😀"]),
        (["x" * TAG_LENGTH], ["x" * TAG_LENGTH]),
        ([f"{n:02}" for n in range(MOST_TAGS)], [f"{n:02}" for n in range(MOST_TAGS)]),
        ([], []),
    ],
    ids=ascii,
)
def test_a_tag_has_one_spelling_and_stands_once(hers, client, given, kept):
    written = hers.post(POSTS, json=NEW | {"tags": given})
    assert written.json["tags"] == kept
    assert client.get(written.headers["Location"]).json["tags"] == kept


@pytest.mark.parametrize("tag", ["\u0ddd\u1f8f\u0340", "\uf98d\u0130\u20e5", "ŉ", "ẞ", "ﬃ"], ids=ascii)
def test_a_tag_that_is_sent_back_is_the_same(hers, tag):
    first = hers.post(POSTS, json=NEW | {"tags": [tag]}).json["tags"]
    assert hers.post(POSTS, json=NEW | {"tags": first}).json["tags"] == first


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        *((tag, "tags.1") for tag in ("", "  ", "a,b", "a\x00", "a\x07b", "\u202e", 7, None, True, ["a"], {"a": 1})),
        *((tag, "tags.1") for tag in ("x" * (TAG_LENGTH + 1), "ß" * TAG_LENGTH, "ﷺ" * 20)),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_bad_tag_is_named_by_its_place(hers, url, sql, method, tags, field):
    """Its length is that of the spelling which is kept."""
    before = sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags")
    answer = hers.open(POSTS if method == "POST" else url, method=method, json=NEW | {"tags": ["good", tags]})
    assert (answer.status_code, set(fields_of(answer))) == (422, {field})
    assert (sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags")) == before


@pytest.mark.parametrize("tags", [None, "a", {"0": "a"}, [str(n) for n in range(MOST_TAGS + 1)]], ids=ascii)
def test_tags_are_a_list_of_bounded_length(hers, tags):
    answer = hers.post(POSTS, json=NEW | {"tags": tags})
    assert (answer.status_code, set(fields_of(answer))) == (422, {"tags"})


# Reading


def test_a_read_says_its_state_and_when_it_changed(url, client):
    answer = client.get(url)
    assert parse_date(answer.headers["Last-Modified"]) == LONG_AGO
    again = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.head(url).headers["ETag"] == answer.headers["ETag"]


def test_what_a_write_answers_with_is_what_the_next_read_answers_with(url, hers, client):
    for tags in (["b", "ab", "a-c", "a b", "é", "z"], ["é", "new"], []):
        changed = hers.patch(url, json={"tags": tags})
        read = client.get(url)
        assert (read.data, read.headers["Last-Modified"]) == (changed.data, changed.headers["Last-Modified"])
        assert hers.patch(url, json={}, headers={"If-Match": read.headers["ETag"]}).status_code == 200


# Changing


@pytest.mark.parametrize(
    "change", [{"title": "New"}, {"content": "New"}, {"category": "new"}, {"tags": ["steam", "new"]}, {"tags": []}]
)
def test_a_change_is_partial_and_moves_the_time(url, hers, client, change):
    before = client.get(url).json
    answer = hers.patch(url, json=change)
    (name,) = change
    wanted = {"tags": sorted(change["tags"])} if name == "tags" else change
    assert answer.json["updated_at"] > before["updated_at"]
    assert answer.json == before | wanted | {"updated_at": answer.json["updated_at"]}
    assert client.get(url).json == answer.json


@pytest.mark.parametrize("change", [{}, {"tags": ["Trains", "STEAM"]}, {"content": "Some words."}], ids=str)
def test_a_change_of_nothing_moves_nothing(url, hers, client, sql, change):
    before = sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags")
    state = client.get(url).headers["ETag"]
    assert hers.patch(url, json=change).status_code == 200
    assert (sql("SELECT * FROM posts"), sql("SELECT * FROM post_tags")) == before
    assert client.get(url).headers["ETag"] == state


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_under_the_state_that_was_read_is_done(url, hers, client, method):
    headers = {"If-Match": client.get(url).headers["ETag"]}
    assert hers.open(url, method=method, json={"title": "New"}, headers=headers).status_code in (200, 204)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("meanwhile", [{"title": "Somebody was faster"}, {"tags": ["new"]}], ids=str)
def test_a_write_to_a_post_that_has_moved_on_is_412_and_changes_nothing(url, hers, client, method, meanwhile):
    """Also where its tags alone have changed."""
    headers = {"If-Match": client.get(url).headers["ETag"]}
    hers.patch(url, json=meanwhile)
    before = client.get(url).json
    answer = hers.open(url, method=method, json={"title": "Late"}, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed")
    assert client.get(url).json == before


def test_an_admin_who_changes_a_post_does_not_become_its_author(alice, url, admins):
    assert admins.patch(url, json={"title": "x"}).json["author_id"] == alice.id


def test_v1_sees_a_change_at_once_and_v2_sees_v1s(url, hers, client):
    old = url.replace("v2", "v1")
    assert client.get(old).json["title"] != "By v2"
    hers.patch(url, json={"title": "By v2", "tags": ["new"]})
    assert client.get(old).json["title"] == "By v2"
    hers.put(old, json={"title": "By v1"})
    assert (client.get(url).json["title"], client.get(url).json["tags"]) == ("By v1", ["new"])


def test_a_deleted_post_is_gone_without_a_word(url, hers, client):
    client.get(url)
    answer = hers.delete(url)
    assert (answer.status_code, answer.data) == (204, b"")
    for path in (url, url.replace("v2", "v1")):
        assert client.get(path).status_code == 404
    assert hers.delete(url).status_code == 404


# What is never written (HARDENING E4)

FORGED = {
    "id": 4711,
    "author_id": 1,
    "user_id": 1,
    "author": {"id": 1},
    "published_at": "2001-01-01T00:00:00Z",
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "deleted_at": None,
    "deleted_by": 1,
    "status": "draft",
    "tag_names": ["x"],
    "": 1,
    "__class__": "x",
}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_is_not_the_clients_to_say_is_refused_by_name(url, hers, sql, method):
    before = sql("SELECT * FROM posts")
    answer = hers.open(POSTS if method == "POST" else url, method=method, json=NEW | FORGED)
    assert answer.status_code == 422
    assert {(e["field"], e["code"]) for e in answer.json["errors"]} == {(name, "unknown") for name in FORGED}
    assert sql("SELECT * FROM posts") == before


# Bad input


@pytest.mark.parametrize("field", ["title", "content", "category"])
@pytest.mark.parametrize("value", ["", "  ", "nul\x00", None, 7, ["x"], {"a": 1}, True], ids=ascii)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_bad_field_is_named(url, hers, sql, method, field, value):
    before = sql("SELECT * FROM posts")
    answer = hers.open(POSTS if method == "POST" else url, method=method, json=NEW | {field: value})
    assert (answer.status_code, set(fields_of(answer))) == (422, {field})
    assert sql("SELECT * FROM posts") == before


@pytest.mark.parametrize(("field", "length"), [("title", TITLE_LENGTH), ("category", CATEGORY_LENGTH)])
def test_a_length_is_counted_in_characters(hers, field, length):
    emoji = "\N{GRINNING FACE}"
    assert hers.post(POSTS, json=NEW | {field: emoji * length}).json[field] == emoji * length
    assert fields_of(hers.post(POSTS, json=NEW | {field: emoji * (length + 1)})) == [field]


def test_every_bad_field_is_named_at_once(hers):
    answer = hers.post(POSTS, json={"title": "", "category": "x" * 51, "tags": ["ok", "a,b", 7], "slug": "x"})
    assert set(fields_of(answer)) == {"title", "content", "category", "tags.1", "tags.2", "slug"}
    codes = {error["field"]: error["code"] for error in answer.json["errors"]}
    assert (codes["content"], codes["slug"], codes["tags.1"]) == ("required", "unknown", "invalid")


def test_text_is_kept_as_it_came(hers, client):
    text = "  <b>&amp;</b> \u2028 'quotes' \"more\" %s {} \t\r\n \N{GRINNING FACE} "
    url = hers.post(POSTS, json={"title": text, "content": text, "category": text[:50]}).headers["Location"]
    read = client.get(url).json
    assert (read["title"], read["content"], read["category"]) == (text, text, text[:50])
