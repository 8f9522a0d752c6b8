"""Who follows whom (API.md, `/users`)."""

from __future__ import annotations

import pytest

from tests.api.v2.conftest import V2, fields_of

USERS = f"{V2}/users"


@pytest.fixture
def bob(make_user):
    return make_user(username="bob")


def _names(client, user, which="followers", **query):
    answer = client.get(f"{USERS}/{user.id}/{which}", query_string=query)
    return [item["username"] for item in answer.json["items"]]


def _counts(client, user):
    profile = client.get(f"{USERS}/{user.id}").json
    return profile["followers"], profile["following"]


def test_who_follows_is_seen_by_everybody_at_once(alice, bob, hers, client):
    assert (_counts(client, bob), _names(client, bob), _names(client, alice, "following")) == ((0, 0), [], [])
    answer = hers.put(f"{USERS}/{bob.id}/follow")
    assert (answer.status_code, answer.data) == (204, b"")
    assert (_counts(client, bob), _counts(client, alice)) == ((1, 0), (0, 1))
    assert (_names(client, bob), _names(client, alice, "following")) == (["alice"], ["bob"])
    assert (_names(client, alice), _names(client, bob, "following")) == ([], [])


def test_following_twice_is_following(bob, hers, client, sql):
    assert [hers.put(f"{USERS}/{bob.id}/follow").status_code for _ in range(2)] == [204, 204]
    assert _counts(client, bob) == (1, 0)
    assert sql("SELECT count(*) FROM follows") == [(1,)]


def test_who_stops_twice_has_stopped(bob, hers, client):
    hers.put(f"{USERS}/{bob.id}/follow")
    assert _counts(client, bob) == (1, 0)
    assert [hers.delete(f"{USERS}/{bob.id}/follow").status_code for _ in range(2)] == [204, 204]
    assert (_counts(client, bob), _names(client, bob)) == ((0, 0), [])


def test_to_stop_following_one_is_not_to_stop_following_others(alice, bob, make_user, hers, acting, client):
    carol = make_user(username="carol")
    for user in (bob, carol):
        hers.put(f"{USERS}/{user.id}/follow")
    acting(carol).put(f"{USERS}/{bob.id}/follow")
    hers.delete(f"{USERS}/{bob.id}/follow")
    assert (_names(client, bob), _names(client, alice, "following")) == (["carol"], ["carol"])


def test_nobody_follows_himself(alice, hers, client):
    answer = hers.put(f"{USERS}/{alice.id}/follow")
    assert (answer.status_code, answer.json["code"]) == (409, "oneself")
    assert _counts(client, alice) == (0, 0)


@pytest.mark.parametrize("who", ["unknown", "deleted"])
def test_who_is_not_there_cannot_be_followed(bob, hers, sql, who):
    sql("UPDATE users SET deleted_at = created_at WHERE id = :id", id=bob.id)
    answer = hers.put(f"{USERS}/{bob.id if who == 'deleted' else 987654321}/follow")
    assert (answer.status_code, answer.json["detail"]) == (404, "User not found")
    assert sql("SELECT count(*) FROM follows") == [(0,)]


def test_a_deleted_user_vanishes_from_every_list_and_count(alice, bob, make_user, hers, acting, admins, client):
    carol = make_user(username="carol")
    hers.put(f"{USERS}/{bob.id}/follow")
    acting(carol).put(f"{USERS}/{alice.id}/follow")
    assert (_counts(client, bob), _counts(client, carol)) == ((1, 0), (0, 1))
    admins.delete(f"{V2}/admin/users/{alice.id}")
    assert (_counts(client, bob), _counts(client, carol)) == ((0, 0), (0, 0))
    assert (_names(client, bob), _names(client, carol, "following")) == ([], [])


def test_a_user_in_a_list_is_shown_in_short(bob, hers, client):
    hers.put(f"{USERS}/{bob.id}/follow")
    (item,) = client.get(f"{USERS}/{bob.id}/followers").json["items"]
    assert set(item) == {"id", "username", "display_name", "avatar_url"}


@pytest.mark.parametrize("which", ["followers", "following"])
def test_the_latest_is_first_and_pages_go_forth_and_back(alice, make_user, acting, client, which):
    hers, names = acting(alice), [f"friend{n}" for n in range(5)]
    for name in names:
        friend = make_user(username=name)
        follower, followed = (acting(friend), alice) if which == "followers" else (hers, friend)
        follower.put(f"{USERS}/{followed.id}/follow")
    assert _names(client, alice, which) == names[::-1]
    url = f"{USERS}/{alice.id}/{which}"
    first = client.get(url, query_string={"limit": 3, "total": "true"}).json
    second = client.get(url, query_string={"limit": 3, "cursor": first["page"]["next"]}).json
    assert [item["username"] for page in (first, second) for item in page["items"]] == names[::-1]
    assert (first["page"]["total"], first["page"]["prev"], second["page"]["next"]) == (5, None, None)
    assert client.get(url, query_string={"limit": 3, "cursor": second["page"]["prev"]}).json["items"] == first["items"]


def test_a_cursor_of_the_one_list_is_none_of_the_other(alice, make_user, acting, client):
    for _ in range(2):
        acting(make_user()).put(f"{USERS}/{alice.id}/follow")
    place = client.get(f"{USERS}/{alice.id}/followers?limit=1").json["page"]["next"]
    answer = client.get(f"{USERS}/{alice.id}/following", query_string={"cursor": place})
    assert (answer.status_code, fields_of(answer)) == (422, ["cursor"])


@pytest.mark.parametrize("which", ["followers", "following"])
@pytest.mark.parametrize("query", ["limit=0", "cursor=x", "total=1", "sort=name", "page=2"])
def test_a_bad_or_unknown_parameter_is_refused_by_name(alice, client, which, query):
    answer = client.get(f"{USERS}/{alice.id}/{which}?{query}")
    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])
