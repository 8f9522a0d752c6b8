"""v2's lists: cursors, orders, filters, sparse and richer answers (API.md, v2; HARDENING E11, F3, F18)."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from tests.api.v2.conftest import V2, fields_of

POSTS = f"{V2}/posts"
FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIELDS = {"id", "title", "summary", "content", "category", "tags", "author_id", "byline", "draft"}
FIELDS |= {"published_at", "updated_at"}
COLUMNS = ("published_at", "updated_at", "title")
SORTS = [f"{sign}{name}" for sign, name in product(("", "-"), COLUMNS)]
SORTS += ["-published_at,title", "title,-updated_at", "-title,published_at,-updated_at", "published_at,updated_at"]


def links_of(answer) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="([a-z]+)"', answer.headers["Link"])}


def ids_of(answer) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json["items"]]


@pytest.fixture
def listed(client):
    """listed(name=value …): the answer of the posts' list."""
    return lambda **query: client.get(POSTS, query_string=query)


@pytest.fixture
def walked(listed):
    """walked(to="next", **query): the pages from the first (or the one of the query's cursor) to the end."""

    def walk(to: str = "next", **query) -> list[list[int]]:
        pages = []
        while len(pages) < 30:
            answer = listed(**query)
            pages.append(ids_of(answer))
            query["cursor"] = answer.json["page"][to]
            if query["cursor"] is None:
                return pages
        raise AssertionError("the list never ends")

    return walk


@pytest.fixture
def ties(alice, make_post):
    """Twelve posts with few times and titles between them, so that every order has ties."""
    return [
        make_post(
            alice,
            title=("same", "same", "other", "É")[n % 4],
            created_at=FIRST + timedelta(hours=n % 3),
            updated_at=FIRST + timedelta(hours=5, microseconds=n % 2),
        )
        for n in range(12)
    ]


def _ordered(posts, sort):
    """The ids as the words of `sort` say, ties by id in the last word's direction. For titles that all databases
    order alike."""
    names = [*sort.split(","), "-id" if sort.split(",")[-1].startswith("-") else "id"]
    attributes = {"published_at": "created_at"}
    rows = list(posts)
    for name in reversed(names):
        plain = name.removeprefix("-")
        rows.sort(key=lambda post: getattr(post, attributes.get(plain, plain)), reverse=name.startswith("-"))
    return [post.id for post in rows]


# Walking


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 5, 12])
def test_every_order_shows_each_post_once_forth_and_back(ties, walked, listed, sort, limit):
    forth = walked(sort=sort, limit=limit)
    flat = [id for page in forth for id in page]
    assert sorted(flat) == sorted(post.id for post in ties)
    assert flat == ids_of(listed(sort=sort, limit=100))
    if len(forth) > 1:
        end = listed(sort=sort, limit=limit)
        for _ in forth[1:]:
            end = listed(sort=sort, limit=limit, cursor=end.json["page"]["next"])
        back = walked("prev", sort=sort, limit=limit, cursor=end.json["page"]["prev"])
        assert [id for page in reversed(back) for id in page] + ids_of(end) == flat


@pytest.mark.parametrize("sort", SORTS)
def test_an_order_is_the_one_that_its_words_say(alice, make_post, listed, sort):
    posts = [
        make_post(
            alice,
            title=f"title {n % 3}",
            created_at=FIRST + timedelta(hours=n % 2),
            updated_at=FIRST + timedelta(hours=9 - n // 2),
        )
        for n in range(9)
    ]
    assert ids_of(listed(sort=sort)) == _ordered(posts, sort)


def test_the_newest_is_first_unless_told(ties, listed):
    assert ids_of(listed()) == _ordered(ties, "-published_at")


def test_the_first_page_has_none_before_and_the_last_none_after(ties, listed):
    first = listed(limit=8)
    last = listed(limit=8, cursor=first.json["page"]["next"])
    assert (first.json["page"]["prev"], last.json["page"]["next"]) == (None, None)
    again = listed(limit=8, cursor=last.json["page"]["prev"])
    assert ids_of(again) == ids_of(first)
    assert again.json["page"]["prev"] is None


@pytest.mark.parametrize("posts", [0, 1, 2])
def test_a_list_that_fits_one_page_has_no_other(alice, make_post, listed, posts):
    for _ in range(posts):
        make_post(alice)
    answer = listed(limit=2)
    assert answer.json["page"] == {"limit": 2, "next": None, "prev": None}
    assert set(links_of(answer)) == {"first"}


def test_a_page_holds_twenty_unless_told(alice, make_post, walked):
    for _ in range(21):
        make_post(alice)
    assert [len(page) for page in walked()] == [20, 1]


@pytest.mark.parametrize("sort", ["-published_at", "title", "-published_at,title"])
def test_no_page_drifts_while_rows_come_and_go(alice, ties, make_post, listed, sql, sort):
    """With page numbers the last one of the page before would be shown again, or one would be skipped."""
    order = ids_of(listed(sort=sort, limit=100))
    first = listed(sort=sort, limit=4)
    for when, title in ((FIRST - timedelta(days=1), "zzz"), (FIRST + timedelta(days=1), "aaa")):
        make_post(alice, title=title, created_at=when)
    sql("UPDATE posts SET deleted_at = created_at WHERE id IN (:a, :b)", a=order[1], b=order[3])
    second = listed(sort=sort, limit=4, cursor=first.json["page"]["next"])
    assert ids_of(second) == order[4:8]
    back = listed(sort=sort, limit=2, cursor=second.json["page"]["prev"])
    assert ids_of(back) == [order[0], order[2]]


def test_a_page_whose_rows_are_all_gone_is_empty(ties, listed, sql):
    place = listed(limit=6).json["page"]["next"]
    sql("UPDATE posts SET deleted_at = created_at")
    assert listed(limit=6, cursor=place).json == {"items": [], "page": {"limit": 6, "next": None, "prev": None}}


def test_the_links_lead_where_the_cursors_do(alice, make_post, client, listed):
    """RFC 8288; with every argument of the request, and `first` without a place."""
    for n in range(5):
        make_post(alice, category="a&b=c d", title=f"{n}")
    asked = {"limit": 2, "category": "a&b=c d", "sort": "title", "total": "true", "include": "author"}
    first = listed(**asked)
    middle = client.get(links_of(first)["next"])
    assert middle.json == listed(**asked, cursor=first.json["page"]["next"]).json
    assert set(links_of(first)) == {"first", "next"}
    links = links_of(middle)
    assert set(links) == {"first", "prev", "next"}
    assert client.get(links["first"]).json == client.get(links["prev"]).json == first.json
    last = client.get(links["next"])
    assert (len(last.json["items"]), set(links_of(last))) == (1, {"first", "prev"})
    assert first.headers["X-Total-Count"] == last.headers["X-Total-Count"] == "5"


@pytest.mark.parametrize("query", [{}, {"category": "a"}, {"limit": 1}])
def test_the_total_is_counted_on_request(alice, make_post, listed, query):
    for category in "aab":
        make_post(alice, category=category)
    assert "total" not in listed(**query).json["page"]
    assert "X-Total-Count" not in listed(**query).headers
    counted = listed(**query, total="true")
    assert counted.json["page"]["total"] == (2 if "category" in query else 3)
    assert listed(**query, total="false").json == listed(**query).json


# Cursors


def _cursor(*parts) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


AT = {"at": "2026-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "é", "====", "A" * 3000, "\x00", "null", "W10"),
        *(_cursor(*parts) for parts in ([], ["-published_at"], ["-published_at", [AT, 1]], [1, [AT, 1], False])),
        *(_cursor("-published_at", values, False) for values in ([], [AT], [1, AT], [AT, "1"], [AT, 1, 1], AT, None)),
        *(_cursor("-published_at", [AT, n], False) for n in (-1, 2**63, 10**30, 1.5, True, None, [1])),
        *(_cursor("-published_at", [{"at": at}, 1], False) for at in ("x", "", 1, None, "2026-01-01T00:00:00")),
        *(_cursor("-published_at", [{"at": at}, 1], False) for at in ("0001-01-01T00:00:00+23:59", "9" * 99)),
        *(_cursor("title", ["\x00", 1], False), _cursor("-published_at", [AT | {"x": 1}, 1], False)),
        *(_cursor("-published_at", [AT, 1], back) for back in (0, 1, None, "true")),
    ],
    ids=lambda cursor: ascii(cursor)[:24],
)
def test_a_cursor_is_one_that_we_gave(ties, listed, cursor):
    """HARDENING F3."""
    answer = listed(cursor=cursor)
    assert (answer.status_code, fields_of(answer)) == (422, ["cursor"])


@pytest.mark.parametrize("sort", ["title", "published_at", "-published_at,title", "-title"])
def test_a_cursor_of_another_order_is_refused(ties, listed, sort):
    foreign = listed(limit=2).json["page"]["next"]
    answer = listed(sort=sort, cursor=foreign)
    assert (answer.status_code, fields_of(answer)) == (422, ["cursor"])


def test_a_cursor_of_another_list_is_refused(ties, hers, listed):
    for path in ("/tags", "/categories", "/todos", "/notifications", "/posts/trash"):
        answer = hers.get(f"{V2}{path}", query_string={"cursor": listed(limit=2).json["page"]["next"]})
        assert (answer.status_code, fields_of(answer)) == (422, ["cursor"]), path


def test_a_cursor_that_is_cut_is_refused_at_any_length(ties, listed):
    whole = listed(limit=2).json["page"]["next"]
    for length in range(len(whole)):
        assert listed(cursor=whole[:length]).status_code == 422, length


# Filters


@pytest.fixture
def shelf(alice, make_user, make_post, sql):
    """Posts of two authors, in two categories, with tags, a day apart."""
    bob, posts = make_user(), {}
    for n, (name, author, category, tags) in enumerate(
        (
            ("a", alice, "trains", ("steam", "strasse")),
            ("b", bob, "trains", ("steam",)),
            ("c", alice, "food", ()),
            ("d", bob, "food", ("steam", "tea time")),
        )
    ):
        post = make_post(author, category=category, created_at=FIRST + timedelta(days=n))
        for tag in tags:
            sql("INSERT INTO post_tags (post_id, name) VALUES (:id, :name)", id=post.id, name=tag)
        posts[name] = post
    return posts


DAY = "2026-01-0{}T12:00:00Z"
FILTERS = [
    ({"category": "trains"}, "ba"),
    ({"category": "Trains"}, ""),
    ({"category": "%"}, ""),
    ({"tag": "steam"}, "dba"),
    ({"tag": "ＳＴＥＡＭ"}, "dba"),
    ({"tag": "  Tea \t TIME "}, "d"),
    ({"tag": "Straße"}, "a"),
    ({"tag": "ste"}, ""),
    ({"author": "alice"}, "ca"),
    ({"author": "bob", "category": "food"}, "d"),
    ({"author": "alice", "tag": "steam", "category": "trains"}, "a"),
    ({"published_after": DAY.format(2)}, "dcb"),
    ({"published_after": "2026-01-02T12:00:00.000001Z"}, "dc"),
    ({"published_before": DAY.format(2)}, "ba"),
    ({"published_after": DAY.format(2), "published_before": DAY.format(3)}, "cb"),
    ({"published_after": "2026-01-02T13:30:00+01:30", "published_before": "2026-01-02t07:00:00-05:00"}, "b"),
    ({"published_after": DAY.format(3), "published_before": DAY.format(2)}, ""),
    ({"published_after": DAY.format(1), "tag": "steam", "sort": "published_at"}, "abd"),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=lambda value: str(value)[:60])
def test_posts_are_found_by(shelf, listed, walked, query, expected):
    if "author" in query:
        query = query | {"author": shelf["a" if query["author"] == "alice" else "b"].user_id}
    wanted = [shelf[name].id for name in expected]
    answer = listed(**query, total="true")
    assert (ids_of(answer), answer.json["page"]["total"]) == (wanted, len(wanted))
    assert [id for page in walked(**query, limit=1) for id in page] == wanted


def test_a_post_in_the_trash_is_in_no_list(shelf, listed, client, sql):
    sql("UPDATE posts SET deleted_at = created_at WHERE id = :id", id=shelf["a"].id)
    assert [ids_of(listed(**query)) for query in ({"category": "trains"}, {"tag": "strasse"})] == [[shelf["b"].id], []]
    assert listed(total="true").json["page"]["total"] == 3


# What an item holds


def test_an_item_holds_what_the_post_itself_does(shelf, client, listed):
    for item in listed().json["items"]:
        assert set(item) == FIELDS
        assert client.get(f"{POSTS}/{item['id']}").json == item


@pytest.mark.parametrize("path", ["/posts", "/posts/{id}"])
def test_an_author_is_embedded_on_request(alice, make_post, client, path):
    post = make_post(alice)
    url = V2 + path.format(id=post.id)
    plain, richer = client.get(url).json, client.get(f"{url}?include=author,tags").json
    if "items" in plain:
        (plain,), (richer,) = plain["items"], richer["items"]
    author = {"id": alice.id, "username": "alice", "display_name": None, "avatar_url": None}
    assert richer == plain | {"author": author}


@pytest.mark.parametrize("path", ["/posts", "/posts/{id}"])
@pytest.mark.parametrize("fields", [{"id"}, {"id", "title"}, {"tags", "author"}, FIELDS])
def test_an_answer_may_be_sparse(alice, make_post, client, path, fields):
    url = V2 + path.format(id=make_post(alice).id)
    whole = client.get(url, query_string={"include": "author"}).json
    sparse = client.get(url, query_string={"include": "author", "fields": ",".join(fields)}).json
    if "items" in whole:
        assert sparse["page"] == whole["page"]
        (whole,), (sparse,) = whole["items"], sparse["items"]
    assert sparse == {name: whole[name] for name in fields}


# Bad parameters


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=-1", "limit=1e1", "limit=", "limit=%D9%A3", "limit=1&limit=1"),
        *("sort=", "sort=id", "sort=password_hash", "sort=-", "sort=title,title", "sort=title,-title", "sort=--title"),
        *("sort=title,", "sort=TITLE", "sort=id;drop", "sort=title desc", "sort=title&sort=title"),
        *("include=", "include=comments", "include=author,", "include=author&include=tags"),
        *("fields=", "fields=password_hash", "fields=id,,title", "fields=id&fields=id"),
        *("total=", "total=1", "total=TRUE", "total=yes", "author=0", "author=x", "author=9223372036854775808"),
        *("tag=", "tag=%20", "tag=a,b", "tag=%00", f"tag={'t' * 51}", "tag=a%0Ab%07"),
        *("category=%00", f"category={'c' * 51}", "category=a&category=b"),
        *("published_after=2026-01-01", "published_after=2026-01-01T00:00:00", "published_before=now"),
        *("published_before=2026-02-30T00:00:00Z", "published_after=0001-01-01T00:00:00%2B23:59"),
        *("page=1", "per_page=2", "user_id=1", "q=x", "Limit=1", "limit[]=1", "=1", "status=draft"),
    ],
)
def test_a_bad_or_unknown_parameter_is_refused_by_name_without_a_question(client, count_queries, query):
    with count_queries() as statements:
        answer = client.get(f"{POSTS}?{query}")
    assert statements == []
    assert (answer.status_code, set(fields_of(answer))) == (422, {query.partition("=")[0]})


def test_every_bad_parameter_is_named_at_once(client):
    answer = client.get(f"{POSTS}?limit=0&sort=x&fields=y&cursor=z&author=a&total=b&tag=&page=1&category=a&category=b")
    bad = {"limit", "sort", "fields", "cursor", "author", "total", "tag", "page", "category"}
    assert set(fields_of(answer)) == bad
    codes = {error["field"]: error["code"] for error in answer.json["errors"]}
    assert (codes["page"], codes["category"], codes["limit"]) == ("unknown", "repeated", "invalid")


def test_the_bounds_themselves_are_allowed(client):
    query = f"limit=100&author={2**63 - 1}&category={'c' * 50}&tag={'t' * 50}"
    assert client.get(f"{POSTS}?{query}&published_after=0001-01-01T00:00:00Z").status_code == 200


def test_the_order_of_parameters_and_defaults_make_no_other_entry(alice, make_post, client):
    make_post(alice)
    client.get(f"{POSTS}?tag=Tea&category=x&limit=20")
    for query in ("category=x&tag=tea", "tag=%20TEA&sort=-published_at&category=x&total=false"):
        assert "hit" in client.get(f"{POSTS}?{query}").headers["Cache-Status"]
