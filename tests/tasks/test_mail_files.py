"""As Broadsheet comes: relay and worker beside the server, mail in `DATA_DIR/mail`."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pytest
import requests

from tests.tasks.conftest import delivering

POST = {"title": "Grüße {aus} «Köln»", "content": "Some words."}


@pytest.fixture(scope="module")
def delivery(environ, app):
    """The two processes with default settings."""
    with delivering(environ) as running:
        yield running


def test_a_new_post_tells_its_author_and_the_admins(
    delivery, server, make_user, token_of, sql, inbox, delivered, environ
):
    author = make_user(username="author")
    for name in ("ada", "bea"):
        make_user(username=name, role="admin")
    make_user(username="mute", role="admin", email=None)
    make_user(username="reader")
    make_user(username="gone", role="admin")
    sql("UPDATE users SET deleted_at = created_at WHERE username = 'gone'")
    headers = {"Authorization": f"Bearer {token_of(author)}"}
    assert requests.post(f"{server.url}/api/v1/posts", json=POST, headers=headers, timeout=10).status_code == 201
    delivered(4 + 3)
    assert inbox() == [("ada", "new_post"), ("author", "post_published"), ("bea", "new_post"), ("mute", "new_post")]
    assert sql("SELECT DISTINCT attempts FROM outbox") == [(1,)]

    due = sql("SELECT id, event_id, sent_at IS NOT NULL FROM notifications WHERE channel = 'mail'")
    assert all(sent for *_, sent in due)
    files = {path.stem: path for path in (Path(environ["DATA_DIR"]) / "mail").iterdir()}
    assert files.keys() == {f"{id}.{event_id}" for id, event_id, _ in due}, "and none that is unfinished"
    mails = {
        mail["To"]: (mail["Subject"], mail["Message-ID"], mail.get_body(("plain",)).get_content())
        for mail in (message_from_bytes(path.read_bytes(), policy=policy.default) for path in files.values())
    }
    assert mails.keys() == {"author@example.org", "ada@example.org", "bea@example.org"}
    assert {message_id for _, message_id, _ in mails.values()} == {f"<{key}@localhost.localdomain>" for key in files}
    subject, _, text = mails["author@example.org"]
    assert subject == f"Your post is published: {POST['title']}"
    assert text == f"Hello author,\n\nYour post «{POST['title']}» is published.\n"
    assert mails["ada@example.org"][0] == f"A new post: {POST['title']}"
    assert f"author has published «{POST['title']}»" in mails["ada@example.org"][2]


def test_an_admin_who_writes_is_told_once(delivery, as_user, make_user, inbox, delivered):
    assert as_user(make_user(username="ada", role="admin")).post("/api/v1/posts", json=POST).status_code == 201
    delivered(4 + 1)
    assert inbox() == [("ada", "post_published")]
