"""Swagger UI as a client: the docs in Chromium, as a person uses them. The fixture `page` watches console and hosts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from app import tokens
from app.models.base import now
from tests.browser.docs_page import DocsPage
from tests.factories import PASSWORD

POSTS = ("v1-posts", "create_post")
POST = {"title": "Hello", "content": "Words"}
REFUSED = "the server responded with a status of 401"


@pytest.fixture
def alice(make_user):
    return make_user(username="alice", email="alice@example.org")


@pytest.fixture
def expired(page, app, alice):
    """What login answers with from now on has expired already."""
    with app.app_context():
        token = tokens.mint(alice.id, "0" * 32, "v2", now() - timedelta(minutes=1))

    def answer(route):
        real = route.fetch()
        route.fulfill(response=real, json=real.json() | {"access_token": token, "expires_in": 0})

    page.tab.route("**/api/v2/auth/login", answer)


@pytest.mark.parametrize("operation", [POSTS, ("v2-posts", "create_post_v2")], ids=["v1", "v2"])
def test_a_reader_logs_in_writes_and_is_still_in_after_a_reload(page, alice, keep, operation):
    keep("out")
    page.log_in("alice")
    expect(page.who).to_have_text("Logged in as alice")
    expect(page.log_in_button).to_be_hidden()
    page.execute(*operation, POST)
    assert page.status(*operation) == "201"
    keep(f"written-{operation[0]}", ".responses-inner")
    page.reload()
    expect(page.who).to_have_text("Logged in as alice")
    page.execute(*operation, POST | {"title": "Hello again"})
    assert page.status(*operation) == "201"


def test_a_mail_address_logs_in_too(page, alice):
    page.log_in("alice@example.org")
    expect(page.who).to_be_visible()
    page.execute(*POSTS, POST)
    assert page.status(*POSTS) == "201"


def test_a_wrong_password_is_said_and_can_be_typed_again(page, alice, keep, errors):
    page.log_in("alice", "wrong")
    expect(page.message).to_have_text("Invalid credentials")
    expect(page.password).to_be_focused()
    keep("wrong-password")
    assert REFUSED in errors.pop()  # Chromium says each 401 on the console
    page.tab.keyboard.type(PASSWORD)
    page.tab.keyboard.press("Enter")
    expect(page.who).to_have_text("Logged in as alice")
    expect(page.message).to_be_empty()


def test_a_server_that_is_away_is_said(page, alice, context, errors):
    context.set_offline(True)
    page.log_in("alice")
    expect(page.message).to_have_text("The server does not answer.")
    assert "ERR_INTERNET_DISCONNECTED" in errors.pop()


def test_a_name_that_looks_like_markup_is_shown_as_it_is(page, make_user):
    make_user(username="<b>bold</b>")
    page.log_in("<b>bold</b>")
    expect(page.who).to_have_text("Logged in as <b>bold</b>")


@pytest.mark.parametrize("before", ["", "Bearer ", " bearer  "])
def test_a_pasted_token_gets_its_bearer_and_survives_a_reload(page, alice, token_of, before):
    token = token_of(alice)
    page.authorize(before + token)
    request = page.execute(*POSTS, POST)
    assert request.headers["authorization"] == f"Bearer {token}"
    page.reload()
    assert page.execute(*POSTS, POST).headers["authorization"] == f"Bearer {token}"
    assert page.status(*POSTS) == "201"
    expect(page.who).to_have_text("With a pasted token")


def test_nothing_pasted_is_nothing(page, errors):
    page.authorize(" ")
    expect(page.log_in_button).to_be_visible()
    assert "authorization" not in page.execute(*POSTS, POST).headers
    assert REFUSED in errors.pop()


def test_logging_out_ends_the_session_and_forgets_everything(page, alice, client, keep):
    page.log_in("alice")
    token = page.execute(*POSTS, POST).headers["authorization"]
    with page.tab.expect_response("**/api/v2/auth/logout") as response:
        page.log_out_button.click()
    assert response.value.status == 204
    expect(page.log_in_button).to_be_visible()
    expect(page.name).to_be_focused()
    assert client.post("/api/v1/posts", json=POST, headers={"Authorization": token}).json["code"] == "revoked_token"
    assert token.removeprefix("Bearer ") not in page.tab.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert page.tab.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.log_in_button).to_be_visible()


def test_a_pasted_token_is_forgotten_but_not_ended(page, alice, token_of, as_user):
    page.authorize(token := token_of(alice))
    page.log_out_button.click()
    expect(page.log_in_button).to_be_visible()
    client = as_user(alice)
    assert client.post("/api/v1/posts", json=POST, headers={"Authorization": token}).status_code == 201


def test_an_expired_access_token_is_refreshed_once(page, alice, expired):
    asked = []
    page.tab.on("request", lambda request: asked.append(request.url.rpartition("/api/")[2]))
    page.log_in("alice")
    page.execute(*POSTS, POST)
    assert page.status(*POSTS) == "201"
    page.reload()
    page.execute(*POSTS, POST)
    assert page.status(*POSTS) == "201"
    assert asked.count("v2/auth/refresh") == 1
    expect(page.who).to_have_text("Logged in as alice")


def test_logging_out_with_an_expired_access_token_ends_the_session_too(page, alice, expired, sql):
    page.log_in("alice")
    with page.tab.expect_response("**/api/v2/auth/logout") as response:
        page.log_out_button.click()
    assert response.value.status == 204
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]


def test_who_cannot_be_refreshed_is_asked_to_log_in_again(page, alice, expired, sql, errors):
    page.log_in("alice")
    expect(page.who).to_be_visible()
    sql("UPDATE sessions SET revoked_at = created_at")
    page.execute(*POSTS, POST)
    assert page.status(*POSTS) == "401"
    expect(page.message).to_have_text("Your session has ended: log in again.")
    expect(page.log_in_button).to_be_visible()
    assert len(errors) == 2
    errors.clear()


def test_the_refresh_token_stays_in_its_tab(page, alice, context):
    page.log_in("alice")
    expect(page.who).to_be_visible()
    assert page.tab.evaluate("sessionStorage.length") == 1
    refresh_token = page.tab.evaluate("Object.values(sessionStorage)[0]")
    assert refresh_token not in page.tab.evaluate("JSON.stringify(localStorage)")
    other = DocsPage(context.new_page())
    other.open()
    assert other.tab.evaluate("sessionStorage.length") == 0


def test_two_tabs_agree_on_who_is_in(page, alice, context):
    other = DocsPage(context.new_page())
    other.open()
    page.log_in("alice")
    expect(other.who).to_have_text("Logged in as alice")
    other.execute(*POSTS, POST)
    assert other.status(*POSTS) == "201"
    with other.tab.expect_response("**/api/v2/auth/logout"):
        other.log_out_button.click()
    expect(page.log_in_button).to_be_visible()


def test_every_model_unfolds(page, keep):
    """A reference that does not resolve is an error on top of the page."""
    section = page.tab.locator("section.models")
    while (folded := section.locator('[aria-expanded="false"]')).count():
        folded.evaluate_all("all => all.forEach((one) => one.click())")
    keep("models", "section.models")
    assert section.locator(".model-container").count() > 10
    assert page.tab.locator(".errors-wrapper").count() == 0


def test_operations_are_listed_by_path_and_method(page):
    """RESTX's own order differs from one worker process to the next."""
    shown = page.tab.locator("[id^=operations-v1-posts-]").evaluate_all("all => all.map((one) => one.id.slice(20))")
    assert shown == ["list_posts", "create_post", "delete_all_posts", "get_post", "update_post", "delete_post"]


def test_the_filter_leaves_one_version(page):
    page.tab.get_by_placeholder("Filter by tag").fill("v2-")
    expect(page.tab.locator("[id^=operations-v1-]")).to_have_count(0)
    expect(page.tab.locator("[id^=operations-v2-]").first).to_be_visible()


def test_all_is_readable_on_a_phone(page, alice, keep):
    page.tab.set_viewport_size({"width": 390, "height": 844})
    keep("phone-out")
    page.log_in("alice")
    expect(page.who).to_be_visible()
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    keep("phone-in")
    page.operation(*POSTS)
    keep("phone-operation", ".opblock.is-open")
