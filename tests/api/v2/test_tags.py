"""Tags and categories with how many posts have them (API.md, discovery)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, fields_of


@pytest.fixture
def shelf(hers):
    """Four posts; their ids."""
    ids = []
    for category, tags in (("food", ["tea"]), ("trains", ["steam", "tea"]), ("food", ["tea", "cake"]), ("art", [])):
        body = {"title": "t", "content": "c", "category": category, "tags": tags}
        ids.append(hers.post(f"{V2}/posts", json=body).json["id"])
    return ids


def _words(client, path, **query):
    return [(item["name"], item["posts"]) for item in client.get(V2 + path, query_string=query).json["items"]]


def test_the_most_used_word_is_first_and_equals_are_in_their_order(shelf, client):
    assert _words(client, "/tags") == [("tea", 3), ("cake", 1), ("steam", 1)]
    assert _words(client, "/categories") == [("food", 2), ("art", 1), ("trains", 1)]


def test_what_is_in_the_trash_is_not_counted(shelf, hers, client):
    _words(client, "/tags"), _words(client, "/categories")
    hers.delete(f"{V2}/posts/{shelf[2]}")
    assert _words(client, "/tags") == [("tea", 2), ("steam", 1)]
    assert _words(client, "/categories") == [("art", 1), ("food", 1), ("trains", 1)]


def test_a_change_of_tags_is_seen_at_once(shelf, hers, client):
    _words(client, "/tags")
    hers.patch(f"{V2}/posts/{shelf[0]}", json={"tags": ["cake"]})
    assert _words(client, "/tags") == [("cake", 2), ("tea", 2), ("steam", 1)]


@pytest.mark.parametrize("path", ["/tags", "/categories"])
def test_the_words_are_paged_forth_and_back(shelf, client, path):
    every, seen, query = _words(client, path), [], {"limit": 1, "total": "true"}
    while len(seen) < len(every):
        page = client.get(V2 + path, query_string=query).json
        seen.append([(item["name"], item["posts"]) for item in page["items"]])
        assert page["page"]["total"] == 3
        query["cursor"] = page["page"]["next"] or ""
    assert page["page"]["next"] is None
    assert [word for words in seen for word in words] == every
    before = client.get(V2 + path, query_string={"limit": 2, "cursor": page["page"]["prev"]}).json
    assert [(item["name"], item["posts"]) for item in before["items"]] == every[:2]
    assert before["page"]["prev"] is None


@pytest.mark.parametrize("path", ["/tags", "/categories"])
@pytest.mark.parametrize("query", ["limit=0", "cursor=x", "total=1", "sort=name", "q=x"])
def test_a_bad_or_unknown_parameter_is_refused_by_name(client, path, query):
    answer = client.get(f"{V2}{path}?{query}")
    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])


def test_nothing_is_no_word(client):
    assert client.get(f"{V2}/tags").json == {"items": [], "page": {"limit": 20, "next": None, "prev": None}}
