"""What one wants to be told, where and when (`/notifications/preferences`, `/notifications/mutes`)."""

from __future__ import annotations

import pytest

from app import tokens
from app.services import notifications
from tests.api.v2.conftest import V2, fields_of
from tests.factories import PASSWORD

PREFERENCES, MUTES = f"{V2}/notifications/preferences", f"{V2}/notifications/mutes"
TOLD = "SELECT u.username, n.kind, n.channel FROM notifications n JOIN users u ON u.id = n.user_id WHERE kind = :kind"
STORED = ("notification_preferences", "notification_switches")
ON = {"inbox": True, "mail": True}
NIGHT = {"from": "22:00", "until": "07:00"}


@pytest.fixture
def bob(make_user):
    return make_user(username="bob")


@pytest.fixture
def his(bob, acting):
    return acting(bob)


@pytest.fixture
def following(alice, his):
    """Bob follows Alice."""
    his.put(f"{V2}/users/{alice.id}/follow")


@pytest.fixture
def heard(sql):
    """heard("new_post"): who was told of such things, in which channel."""
    return lambda kind: sorted((name, channel) for name, _, channel in sql(TOLD, kind=kind))


def test_who_has_said_nothing_is_told_of_all_but_has_no_mail_of_followers(hers):
    assert hers.get(PREFERENCES).json == {
        "time_zone": "UTC",
        "digest": "immediately",
        "quiet_hours": None,
        "events": {
            "post_published": ON,
            "new_post": ON,
            "post_deleted": ON,
            "welcome": ON,
            "new_follower": {"inbox": True, "mail": False},
            "todo_due": {"inbox": True, "mail": True},
            "password_changed": ON,
        },
    }


def test_what_is_changed_is_read_at_once_and_the_rest_stays(hers):
    before = hers.get(PREFERENCES).json
    wish = {"time_zone": "Europe/Berlin", "digest": "weekly", "quiet_hours": NIGHT}
    changed = hers.patch(PREFERENCES, json=wish | {"events": {"new_post": {"mail": False}}})
    assert changed.status_code == 200
    events = before["events"] | {"new_post": {"inbox": True, "mail": False}}
    assert hers.get(PREFERENCES).json == changed.json == wish | {"events": events}
    assert hers.patch(PREFERENCES, json={"quiet_hours": None}).json["quiet_hours"] is None
    assert hers.get(PREFERENCES).json["digest"] == "weekly"


def test_the_second_reading_is_answered_from_the_cache(hers):
    statuses = [hers.get(PREFERENCES).headers["Cache-Status"] for _ in "ab"]
    assert ["; hit;" in status for status in statuses] == [False, True]


def test_only_what_differs_from_the_default_is_stored(hers, sql):
    wish = {"digest": "daily", "events": {"new_post": {"inbox": False, "mail": True}, "new_follower": {"mail": True}}}
    hers.patch(PREFERENCES, json=wish)
    assert [sql(f"SELECT count(*) FROM {table}") for table in STORED] == [[(1,)], [(2,)]]
    back = {"digest": "immediately", "events": {"new_post": {"inbox": True}, "new_follower": {"mail": False}}}
    hers.patch(PREFERENCES, json=back)
    assert [sql(f"SELECT count(*) FROM {table}") for table in STORED] == [[(0,)], [(0,)]]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
        ({"time_zone": "Factory"}, "time_zone"),
        ({"time_zone": None}, "time_zone"),
        ({"digest": "hourly"}, "digest"),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.until"),
        ({"quiet_hours": {"from": "24:00", "until": "07:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "22:00", "until": "7:00"}}, "quiet_hours.until"),
        ({"quiet_hours": {"from": "22:00\n", "until": "07:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "07:00", "until": "07:00"}}, "quiet_hours.until"),
        ({"quiet_hours": "always"}, "quiet_hours"),
        ({"events": {"no_such_kind": ON}}, "events.no_such_kind"),
        ({"events": {"new_post": {"pigeon": True}}}, "events.new_post.pigeon"),
        ({"events": {"new_post": {"mail": 1}}}, "events.new_post.mail"),
        ({"events": {"password_changed": {"mail": False}}}, "events.password_changed.mail"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name_and_changes_nothing(hers, sql, wish, field):
    answer = hers.patch(PREFERENCES, json={"digest": "daily"} | wish)
    assert (answer.status_code, fields_of(answer)) == (422, [field])
    assert [sql(f"SELECT count(*) FROM {table}") for table in STORED] == [[(0,)], [(0,)]]


def test_a_security_notice_may_leave_the_inbox_but_never_the_mail(hers, alice, heard, app):
    assert hers.patch(PREFERENCES, json={"events": {"password_changed": {"inbox": False}}}).status_code == 200
    with app.app_context():
        notifications.notify_of_password("e", alice.id)
    assert heard("password_changed") == [("alice", "mail")]


@pytest.mark.parametrize("channel", ["inbox", "mail"])
def test_what_is_switched_off_is_not_told_in_that_channel(alice, his, following, make_post, told, heard, channel):
    his.patch(PREFERENCES, json={"events": {"new_post": {channel: False}}})
    told(make_post(alice))
    assert heard("new_post") == [("bob", {"inbox": "mail", "mail": "inbox"}[channel])]
    assert heard("post_published") == [("alice", "inbox"), ("alice", "mail")]


def test_a_mail_of_a_new_follower_comes_to_who_asks_for_it(alice, bob, hers, app, heard):
    with app.app_context():
        notifications.notify_followed("e1", bob.id, alice.id)
    assert heard("new_follower") == [("alice", "inbox")]
    hers.patch(PREFERENCES, json={"events": {"new_follower": {"mail": True}}})
    with app.app_context():
        notifications.notify_followed("e2", bob.id, alice.id)
    assert heard("new_follower") == [("alice", "inbox"), ("alice", "inbox"), ("alice", "mail")]


# Mutes


def test_a_muted_authors_posts_are_not_told_of_until_he_is_unmuted(alice, his, following, make_post, told, heard):
    for _ in "twice":
        assert his.put(f"{MUTES}/authors/{alice.id}").status_code == 204
    told(make_post(alice))
    assert heard("new_post") == []
    for _ in "twice":
        assert his.delete(f"{MUTES}/authors/{alice.id}").status_code == 204
    told(make_post(alice))
    assert heard("new_post") == [("bob", "inbox"), ("bob", "mail")]


def test_a_muted_post_is_not_told_of_and_others_are(alice, his, following, make_post, told, heard, sql):
    post = make_post(alice)
    assert his.put(f"{MUTES}/posts/{post.id}").status_code == 204
    told(post)
    assert heard("new_post") == []
    told(make_post(alice))
    assert heard("new_post") == [("bob", "inbox"), ("bob", "mail")]


def test_who_mutes_somebody_is_still_told_of_what_is_about_no_post(alice, bob, his, app, heard):
    his.put(f"{MUTES}/authors/{alice.id}")
    with app.app_context():
        notifications.notify_followed("e", alice.id, bob.id)
    assert heard("new_follower") == [("bob", "inbox")]


def test_nobody_else_is_muted_by_it(alice, bob, his, following, make_post, told, heard, make_user, acting):
    carol = make_user(username="carol")
    acting(carol).put(f"{V2}/users/{alice.id}/follow")
    his.put(f"{MUTES}/authors/{carol.id}")
    his.put(f"{MUTES}/authors/{alice.id}")
    told(make_post(alice))
    assert heard("new_post") == [("carol", "inbox"), ("carol", "mail")]


def test_mutes_are_listed_the_latest_first_and_are_ones_own(alice, his, hers, make_post):
    post = make_post(alice)
    assert his.get(MUTES).json["items"] == []
    his.put(f"{MUTES}/authors/{alice.id}")
    his.put(f"{MUTES}/posts/{post.id}")
    listed = his.get(f"{MUTES}?total=true").json
    pairs = [(item["author_id"], item["post_id"]) for item in listed["items"]]
    assert (pairs, listed["page"]["total"]) == ([(None, post.id), (alice.id, None)], 2)
    first = his.get(f"{MUTES}?limit=1").json
    assert his.get(f"{MUTES}?limit=1&cursor={first['page']['next']}").json["items"] == listed["items"][1:]
    assert hers.get(MUTES).json["items"] == []


def test_what_is_not_there_cannot_be_muted_nor_oneself(alice, hers, make_post, sql):
    draft = make_post(alice, draft=True)
    for path in ("authors/999999", "posts/999999", f"posts/{draft.id}"):
        assert hers.put(f"{MUTES}/{path}").status_code == 404
    assert hers.put(f"{MUTES}/authors/{alice.id}").status_code == 409
    assert sql("SELECT * FROM notification_mutes") == []


# Unsubscribing


@pytest.fixture
def link(app, alice):
    """link(kind): where a mail of this kind says that it can be switched off."""

    def path(kind="new_post", user_id=None):
        with app.app_context():
            return f"{V2}/notifications/unsubscribe/{tokens.mint_unsubscribe(user_id or alice.id, kind)}"

    return path


def _mails(client):
    return {kind for kind, channels in client.get(PREFERENCES).json["events"].items() if channels["mail"]}


def test_one_click_switches_off_that_kind_of_mail_and_nothing_else(client, hers, link):
    before = hers.get(PREFERENCES).json["events"]
    for _ in "twice":
        answer = client.post(link(), data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert hers.get(PREFERENCES).json["events"] == before | {"new_post": {"inbox": True, "mail": False}}


@pytest.mark.parametrize("body", [{}, {"data": b"\xff"}, {"json": {"a": 1}}, {"data": {"List-Unsubscribe": "x"}}])
def test_whatever_a_mail_program_sends_is_good(client, hers, link, body):
    assert client.post(link(), **body).status_code == 200
    assert "new_post" not in _mails(hers)


def test_a_mail_program_may_send_a_form_of_many_parts(client, hers, link):
    form = {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"}
    assert client.post(link(), **form).status_code == 200
    assert "new_post" not in _mails(hers)


def test_who_follows_the_link_is_asked_first(client, hers, link):
    page = client.get(link())
    assert (page.status_code, page.mimetype, page.headers["Cache-Control"]) == (200, "text/html", "no-store")
    assert page.text.count('<form method="post">') == page.text.count("<button") == 1
    assert "new_post" in _mails(hers)


def test_a_digests_link_switches_off_all_mails_but_those_about_security(client, hers, link):
    assert client.post(link("digest")).status_code == 200
    assert _mails(hers) == {"password_changed"}


def test_no_link_switches_off_mail_about_security(client, hers, link):
    assert client.post(link("password_changed")).status_code == 200
    assert "password_changed" in _mails(hers)


def test_a_forged_link_is_not_found_and_changes_nothing(client, app, alice, hers, link, token_of, sql, make_user):
    right = link().rpartition("/")[2]
    head, claims, signature = right.split(".")
    other = link(user_id=make_user().id).rpartition("/")[2].split(".")
    forged = [f"{head}.{other[1]}.{signature}", f"{head}.{claims}.", right[:-8], "x", "a.b.c", "%00", "9" * 3000]
    forged += [token_of(alice, "v2"), token_of(alice, "refresh"), link("no_such_kind").rpartition("/")[2]]
    for token in forged:
        for method in ("GET", "POST"):
            answer = client.open(f"{V2}/notifications/unsubscribe/{token}", method=method)
            assert answer.status_code == 404, token
    assert sql("SELECT * FROM notification_switches") == []


def test_the_link_lets_nobody_in(client, link):
    token = link().rpartition("/")[2]
    assert client.get(f"{V2}/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_who_has_gone_cannot_unsubscribe(client, alice, link, sql):
    sql("UPDATE users SET deleted_at = created_at, username_key = NULL")
    assert client.post(link()).status_code == 404


def test_a_password_is_no_secret_of_the_link(client, hers, link, log_in):
    """It never ends: neither with a session nor with a password."""
    hers.post(f"{V2}/auth/password", json={"current_password": PASSWORD, "password": "staple correct horse"})
    assert client.post(link()).status_code == 200
