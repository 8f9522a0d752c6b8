"""The inbox: who is told what, and what is read (API.md, `/notifications`)."""

from __future__ import annotations

import pytest

from app.extensions import db
from app.services import notifications
from tests.api.v2.conftest import V2, fields_of

INBOX = f"{V2}/notifications"


@pytest.fixture
def bob(make_user):
    return make_user(username="bob")


@pytest.fixture
def his(bob, acting):
    """Bob's client; he follows Alice."""
    return acting(bob)


@pytest.fixture
def following(alice, his):
    """Bob follows Alice."""
    his.put(f"{V2}/users/{alice.id}/follow")


@pytest.fixture
def post(alice, following, make_post, told):
    """A post of Alice's, of which everybody has been told."""
    post = make_post(alice, title="Hers")
    told(post)
    return post


@pytest.fixture
def posts(alice, following, make_post, told):
    """Five posts, one after the other."""
    made = [make_post(alice, title=f"{n}") for n in range(5)]
    for post in made:
        told(post)
    return made


def _items(client, **query):
    return client.get(INBOX, query_string=query).json["items"]


def _titles(client, **query):
    return [item["post"]["title"] for item in _items(client, **query)]


def _unread(client):
    return client.get(f"{INBOX}/unread").json["unread"]


# Who is told


def test_author_followers_and_admins_hear_of_a_post(alice, post, hers, his, admins, acting, make_user, told):
    told(post)  # the admin of this test had not been there
    heard = {"id": post.id, "title": "Hers", "author_id": alice.id}
    assert [(item["kind"], item["post"]) for item in _items(hers)] == [("post_published", heard)]
    assert [(item["kind"], item["post"]) for item in _items(his)] == [("new_post", heard)]
    assert [(item["kind"], item["post"]) for item in _items(admins)] == [("new_post", heard)]
    assert _items(acting(make_user())) == []


def test_who_is_told_twice_for_two_reasons_is_told_once(alice, root, admins, make_post, told, sql):
    """An admin who follows; and every run of a task is followed by another."""
    admins.put(f"{V2}/users/{alice.id}/follow")
    post = make_post(alice)
    told(post)
    told(post)
    assert len(_items(admins)) == 1
    assert sql("SELECT channel FROM notifications WHERE user_id = :id ORDER BY channel", id=root.id) == [
        ("inbox",),
        ("mail",),
    ]


def test_who_has_stopped_following_hears_no_more(alice, post, his, make_post, told):
    his.delete(f"{V2}/users/{alice.id}/follow")
    told(make_post(alice, title="Later"))
    assert _titles(his) == ["Hers"]


@pytest.mark.parametrize("column", ["deleted_at", "disabled_at"])
def test_who_is_shut_out_is_told_nothing(alice, bob, following, make_post, told, sql, column):
    sql(f"UPDATE users SET {column} = created_at WHERE id = :id", id=bob.id)
    told(make_post(alice))
    assert sql("SELECT count(*) FROM notifications WHERE user_id = :id", id=bob.id) == [(0,)]


def test_a_mail_is_no_row_of_the_inbox(post, hers, sql):
    (mail_id,) = sql("SELECT id FROM notifications WHERE channel = 'mail' LIMIT 1")[0]
    assert len(_items(hers)) == 1
    assert hers.post(f"{INBOX}/{mail_id}/read").status_code == 404


def test_what_the_outbox_delivers_is_seen_in_the_inbox_at_once(alice, following, hers, his, app, sql):
    """As the worker does it: each message's subscriber, with its event's id and ids."""
    assert _items(his) == []
    written = hers.post(f"{V2}/posts", json={"title": "Sent", "content": "c"}).json
    with app.app_context():
        for subscriber, event_id in sql("SELECT subscriber, event_id FROM outbox WHERE event = 'PostPublished'"):
            if "webhooks" not in subscriber:
                getattr(notifications, subscriber)(event_id, post_id=written["id"])
        db.session.remove()
    assert (_titles(his), _titles(hers)) == (["Sent"], ["Sent"])


# What it shows


def test_the_latest_is_first_and_pages_go_forth_and_back(posts, his):
    assert _titles(his) == ["4", "3", "2", "1", "0"]
    first = his.get(INBOX, query_string={"limit": 3, "total": "true"}).json
    second = his.get(INBOX, query_string={"limit": 3, "cursor": first["page"]["next"]}).json
    assert [item["post"]["title"] for item in second["items"]] == ["1", "0"]
    assert (first["page"]["total"], first["page"]["prev"], second["page"]["next"]) == (5, None, None)
    assert _items(his, limit=3, cursor=second["page"]["prev"]) == first["items"]


def test_a_post_in_the_trash_is_null_until_it_comes_back(post, hers, his):
    assert _titles(his) == ["Hers"]
    hers.delete(f"{V2}/posts/{post.id}")
    assert [item["post"] for item in _items(his)] == [None]
    hers.post(f"{V2}/posts/{post.id}/restore")
    assert _titles(his) == ["Hers"]


def test_a_post_is_shown_under_its_present_title(post, hers, his):
    assert _titles(his) == ["Hers"]
    hers.patch(f"{V2}/posts/{post.id}", json={"title": "Renamed"})
    assert _titles(his) == ["Renamed"]


def test_the_inbox_is_ones_own_and_is_asked_for_each_time(post, hers, his):
    for path in (INBOX, f"{INBOX}/unread"):
        answer = his.get(path)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert his.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert _items(hers)[0]["id"] != _items(his)[0]["id"]


# What is read


def test_one_is_marked_and_keeps_its_time(posts, his):
    assert _unread(his) == 5
    id = _items(his)[1]["id"]
    answer = his.post(f"{INBOX}/{id}/read")
    assert (answer.status_code, answer.data) == (204, b"")
    read_at = _items(his)[1]["read_at"]
    assert read_at is not None
    assert his.post(f"{INBOX}/{id}/read").status_code == 204
    assert _items(his)[1]["read_at"] == read_at
    assert _unread(his) == 4


@pytest.mark.parametrize("unread", ["true", "false"])
def test_the_inbox_is_filtered_by_what_was_read(posts, his, unread):
    his.post(f"{INBOX}/{_items(his)[0]['id']}/read")
    assert _titles(his, unread=unread) == (["3", "2", "1", "0"] if unread == "true" else ["4"])


def test_all_are_marked_and_the_answer_says_how_many_were_unread(posts, his, hers):
    his.post(f"{INBOX}/{_items(his)[0]['id']}/read")
    assert [his.post(f"{INBOX}/read", json={}).json for _ in range(2)] == [{"marked": 4}, {"marked": 0}]
    assert (_unread(his), _unread(hers)) == (0, 5)


def test_what_came_after_the_last_one_seen_stays_unread(posts, his):
    seen = _items(his)[2]["id"]
    assert his.post(f"{INBOX}/read", json={"up_to": seen}).json == {"marked": 3}
    assert (_unread(his), _titles(his, unread="true")) == (2, ["4", "3"])


def test_anothers_notification_is_as_one_that_never_was(post, hers, his, admins):
    """HARDENING E2."""
    id = _items(his)[0]["id"]
    for person in (hers, admins):
        there, never = (person.post(f"{INBOX}/{one}/read") for one in (id, 987654321))
        assert (there.status_code, never.status_code) == (404, 404)
        assert there.json | {"request_id": ""} == never.json | {"request_id": ""}
    assert _unread(his) == 1


@pytest.mark.parametrize("body", [{"up_to": 0}, {"up_to": 2**63}, {"up_to": True}, {"all": True}])
def test_a_bad_or_unknown_field_is_named(post, his, body):
    answer = his.post(f"{INBOX}/read", json=body)
    assert (answer.status_code, fields_of(answer)) == (422, list(body))
    assert _unread(his) == 1


@pytest.mark.parametrize("query", ["unread=1", "unread=", "limit=0", "cursor=x", "total=1", "sort=id", "page=1"])
def test_a_bad_or_unknown_parameter_is_refused_by_name(his, query):
    answer = his.get(f"{INBOX}?{query}")
    assert (answer.status_code, fields_of(answer)) == (422, [query.partition("=")[0]])
