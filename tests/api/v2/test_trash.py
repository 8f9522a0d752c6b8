"""The trash: what is in it, for whom, and who brings it back (API.md, `/posts`)."""

from __future__ import annotations

import pytest

from app.models.base import now
from tests.api.v2.conftest import V2

POSTS = f"{V2}/posts"
TRASH = f"{POSTS}/trash"


@pytest.fixture
def bob(make_user):
    return make_user(username="bob")


@pytest.fixture
def his(bob, acting):
    return acting(bob)


@pytest.fixture
def url(alice, make_post):
    """The address of a post of Alice's."""
    return f"{POSTS}/{make_post(alice).id}"


def _seen(client):
    return [f"{POSTS}/{item['id']}" for item in client.get(TRASH).json["items"]]


def _restored(client, url):
    return client.post(f"{url}/restore")


def test_a_deleted_post_is_in_its_authors_trash_and_in_the_admins(url, hers, his, admins):
    assert [_seen(client) for client in (hers, his, admins)] == [[], [], []]
    hers.delete(url)
    assert [_seen(client) for client in (hers, his, admins)] == [[url], [], [url]]


def test_the_trash_shows_the_post_and_when_it_was_deleted(url, hers, client):
    hers.patch(url, json={"tags": ["steam"]})
    before = client.get(url).json
    hers.delete(url)
    (item,) = hers.get(TRASH).json["items"]
    assert item["deleted_at"] >= before["published_at"]
    assert {name: item[name] for name in ("id", "title", "content", "tags", "author_id", "published_at")} == {
        name: before[name] for name in ("id", "title", "content", "tags", "author_id", "published_at")
    }


def test_the_trash_is_latest_first_and_paged(alice, make_post, hers):
    urls = [f"{POSTS}/{make_post(alice).id}" for _ in range(5)]
    for url in urls:
        hers.delete(url)
    first = hers.get(f"{TRASH}?limit=3").json
    second = hers.get(TRASH, query_string={"limit": 3, "cursor": first["page"]["next"]}).json
    assert [f"{POSTS}/{item['id']}" for page in (first, second) for item in page["items"]] == urls[::-1]
    back = hers.get(TRASH, query_string={"limit": 3, "cursor": second["page"]["prev"]}).json
    assert (back["items"], back["page"]["prev"], second["page"]["next"]) == (first["items"], None, None)


def test_the_trash_is_shown_to_nobody_else_again(url, hers):
    hers.delete(url)
    assert hers.get(TRASH).headers["Cache-Control"] == "no-store"


def test_a_restored_post_is_as_it_was(url, hers, client):
    hers.patch(url, json={"tags": ["steam"], "category": "trains"})
    before = client.get(url).json
    hers.delete(url)
    answer = _restored(hers, url)
    assert answer.status_code == 200
    assert answer.json | {"updated_at": None} == before | {"updated_at": None}
    assert client.get(url).json == answer.json
    assert _seen(hers) == []


def test_both_versions_see_a_delete_and_a_restore_at_once(url, hers, client):
    """Each read is cached before the next write."""
    paths = (url, url.replace("v2", "v1"))
    lists = (f"{POSTS}?fields=id", "/api/v1/posts", f"{V2}/categories")
    alive = [client.get(path).data for path in lists]
    hers.delete(url)
    assert [client.get(path).status_code for path in paths] == [404, 404]
    dead = [client.get(path).data for path in lists]
    assert not [one for one, other in zip(alive, dead, strict=True) if one == other]
    _restored(hers, url)
    assert [client.get(path).status_code for path in paths] == [200, 200]
    assert [client.get(path).data for path in lists] == alive


def test_what_v1_deletes_is_in_the_trash_too(url, alice, as_user, hers):
    as_user(alice, "v1").delete(url.replace("v2", "v1"))
    assert _seen(hers) == [url]
    assert _restored(hers, url).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_post_in_the_trash_is_not_there_for_anybody(url, hers, admins, his, client, method):
    hers.delete(url)
    for person in (hers, admins, his, client):
        answer = person.open(url, method=method, json={"title": "x"} if method == "PATCH" else None)
        assert answer.status_code == (401 if person is client and method != "GET" else 404)


def test_what_an_admin_has_deleted_only_an_admin_brings_back(url, hers, admins, client):
    admins.delete(url)
    assert _seen(hers) == [url], "she sees that it was deleted"
    answer = _restored(hers, url)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert client.get(url).status_code == 404
    assert _restored(admins, url).status_code == 200
    assert client.get(url).status_code == 200


def test_what_its_author_deletes_after_an_admin_had_is_his_again(url, hers, admins):
    admins.delete(url)
    _restored(admins, url)
    hers.delete(url)
    assert _restored(hers, url).status_code == 200


def test_an_emptied_blog_comes_back_by_an_admin_alone(url, hers, admins):
    admins.delete("/api/v1/posts/all")
    assert (_restored(hers, url).status_code, _restored(admins, url).status_code) == (403, 200)


def test_an_admin_restores_what_its_author_deleted(url, hers, admins):
    hers.delete(url)
    assert _restored(admins, url).status_code == 200


def test_anothers_post_in_the_trash_is_as_one_that_never_was(url, hers, his):
    """HARDENING E2."""
    hers.delete(url)
    there, never = _restored(his, url), _restored(his, f"{POSTS}/987654321")
    assert (there.status_code, never.status_code) == (404, 404)
    assert there.json | {"request_id": ""} == never.json | {"request_id": ""}


def test_what_is_not_in_the_trash_is_not_restored(url, hers, admins):
    assert (_restored(hers, url).status_code, _restored(admins, url).status_code) == (404, 404)
    hers.delete(url)
    assert [_restored(hers, url).status_code for _ in range(2)] == [200, 404]


def test_a_deleted_authors_posts_stay_in_nobodys_trash(url, alice, bob, admins, make_post, hers):
    """They were his: with him they are gone."""
    mine = f"{POSTS}/{make_post(alice).id}"
    hers.delete(mine)
    assert admins.delete(f"{V2}/admin/users/{alice.id}").status_code == 204
    assert _seen(admins) == []
    assert [_restored(admins, one).status_code for one in (url, mine)] == [404, 404]


def test_a_restore_tells_nobody_again(url, hers, sql):
    hers.delete(url)
    _restored(hers, url)
    assert sql("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.parametrize("query", ["total=true", "sort=title", "limit=0", "cursor=x", "author=1"])
def test_a_bad_or_unknown_parameter_is_refused_by_name(hers, query):
    answer = hers.get(f"{TRASH}?{query}")
    assert (answer.status_code, [e["field"] for e in answer.json["errors"]]) == (422, [query.partition("=")[0]])


def test_the_time_of_deletion_orders_what_an_admin_sees_of_all(alice, bob, make_post, admins):
    posts = [make_post(author, deleted_at=now(), deleted_by=author.id) for author in (alice, bob, alice)]
    assert [item["id"] for item in admins.get(TRASH).json["items"]] == [post.id for post in posts[::-1]]
