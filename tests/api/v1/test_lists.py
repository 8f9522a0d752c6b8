"""v1's lists: pages, links, filters, bounds (API.md; HARDENING E11)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

USERS = "/api/v1/users"
POSTS = "/api/v1/posts"


def _links(answer) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="([a-z]+)"', answer.headers["Link"])}


def test_the_newest_post_is_first(alice, make_post, client):
    ids = [make_post(alice).id for _ in range(3)]
    assert [post["id"] for post in client.get(POSTS).json] == ids[::-1]


def test_posts_of_one_instant_have_an_order(alice, make_post, client):
    instant = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [make_post(alice, created_at=instant).id for _ in range(4)]
    pages = [client.get(f"{POSTS}?per_page=2&page={page}").json for page in (1, 2)]
    assert [post["id"] for page in pages for post in page] == ids[::-1]


def test_a_page_holds_twenty_unless_told(alice, make_post, client):
    for _ in range(21):
        make_post(alice)
    assert [len(client.get(f"{POSTS}?page={page}").json) for page in (1, 2, 3)] == [20, 1, 0]


def test_the_links_lead_through_all_posts_once(alice, make_post, client):
    ids = [make_post(alice, category="a&b=c d").id for _ in range(5)]
    url, seen = f"{POSTS}?per_page=2&category=a%26b%3Dc%20d", []
    while url:
        answer = client.get(url)
        seen += [post["id"] for post in answer.json]
        assert answer.headers["X-Total-Count"] == "5"
        url = _links(answer).get("next")
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("page", "rels"), [(1, {"first", "next"}), (2, {"first", "prev", "next"}), (3, {"first", "prev"})]
)
def test_a_page_links_to_its_neighbours(alice, make_post, client, page, rels):
    """RFC 8288."""
    for _ in range(3):
        make_post(alice)
    links = _links(client.get(f"{POSTS}?per_page=1&page={page}"))
    assert set(links) == rels
    first = client.get(f"{POSTS}?per_page=1").json
    assert client.get(links["first"]).json == first
    assert page == 1 or client.get(links["prev"]).json == client.get(f"{POSTS}?per_page=1&page={page - 1}").json


def test_the_last_page_that_may_be_asked_for_links_to_none_beyond(alice, make_post, client, monkeypatch):
    monkeypatch.setattr("app.services.page.LAST_PAGE", 2)
    for _ in range(3):
        make_post(alice)
    assert "next" not in _links(client.get(f"{POSTS}?per_page=1&page=2"))


def test_the_link_has_one_spelling_whichever_form_of_the_url_came_first(alice, make_post, client):
    make_post(alice)
    slashed, plain = client.get(f"{POSTS}/?per_page=1"), client.get(f"{POSTS}?per_page=1")
    assert slashed.headers["Link"] == plain.headers["Link"]
    assert _links(slashed)["first"].startswith(f"{POSTS}?")


def test_a_link_never_repeats_the_host(client):
    assert "evil" not in client.get(POSTS, headers={"X-Forwarded-Host": "evil.example"}).headers["Link"]


def test_posts_can_be_listed_by_author_and_category(alice, make_user, make_post, client):
    bob = make_user()
    one, two = make_post(alice, category="a"), make_post(alice, category="b")
    three = make_post(bob, category="a")
    queries = {f"user_id={alice.id}": [two, one], "category=a": [three, one], f"user_id={alice.id}&category=a": [one]}
    for query, posts in queries.items():
        answer = client.get(f"{POSTS}?{query}")
        assert [post["id"] for post in answer.json] == [post.id for post in posts], query
        assert answer.headers["X-Total-Count"] == str(len(posts))


@pytest.mark.parametrize("query", ["user_id=4711", "category=none", "category=%25", "category=_"])
def test_a_list_may_be_empty(alice, make_post, client, query):
    make_post(alice)
    answer = client.get(f"{POSTS}?{query}")
    assert (answer.status_code, answer.json, answer.headers["X-Total-Count"]) == (200, [], "0")


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-5", "page=1001", "page=1000000", "page=", "page=1_0", "page=%D9%A3", "page=1e3", "page=+2"),
        *("per_page=0", "per_page=101", "per_page=1000000000", "per_page=9223372036854775808", "per_page=%202"),
        *("user_id=0", "user_id=x", "user_id=9223372036854775808", "user_id=", "user_id=1&user_id=2"),
        *("category=%00", f"category={'x' * 51}", "category=a&category=b"),
    ],
)
def test_a_known_parameter_with_a_bad_value_is_refused_by_name_without_a_question(client, count_queries, query):
    """HARDENING E11, F3: it costs no statement."""
    with count_queries() as statements:
        answer = client.get(f"{POSTS}?{query}")
    assert statements == []
    assert (answer.status_code, list(answer.json["errors"])) == (400, [query.partition("=")[0]])


def test_every_bad_parameter_is_named_at_once(client):
    answer = client.get(f"{POSTS}?page=0&per_page=x&user_id=y")
    assert set(answer.json["errors"]) == {"page", "per_page", "user_id"}


def test_the_bounds_themselves_are_allowed(client):
    assert client.get(f"{POSTS}?page=1000&per_page=100&user_id={2**63 - 1}").status_code == 200


def test_unknown_parameters_are_ignored_and_share_the_entry(alice, make_post, client):
    make_post(alice)
    plain = client.get(f"{POSTS}?page=1")
    noisy = client.get(f"{POSTS}?utm_source=x&sort=password_hash&page=1&page_size=7")
    assert noisy.data == plain.data
    assert "hit" in noisy.headers["Cache-Status"]


# Users


def test_the_list_is_oldest_first_and_counts_all(client, make_user):
    made = [make_user().id for _ in range(3)]
    answer = client.get(f"{USERS}?per_page=2")
    assert [user["id"] for user in answer.json] == made[:2]
    assert answer.headers["X-Total-Count"] == "3"


def test_a_page_of_users_holds_twenty_unless_told(client, make_user):
    for _ in range(21):
        make_user()
    assert [len(client.get(f"{USERS}?page={page}").json) for page in (1, 2)] == [20, 1]


def test_a_deleted_user_is_not_counted(client, make_user, sql):
    make_user()
    gone = make_user()
    sql("UPDATE users SET deleted_at = created_at WHERE id = :id", id=gone.id)
    assert client.get(USERS).headers["X-Total-Count"] == "1"


@pytest.mark.parametrize(
    "query", ["page=0", "page=1001", "per_page=0", "per_page=101", "per_page=1000000000", "page=x"]
)
def test_a_page_of_users_out_of_bounds_is_refused_by_name(client, query):
    """HARDENING E11."""
    answer = client.get(f"{USERS}?{query}")
    assert (answer.status_code, list(answer.json["errors"])) == (400, [query.partition("=")[0]])
