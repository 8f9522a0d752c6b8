"""The API's description: whole, and the same names for ever."""

from __future__ import annotations

import json
import re

import pytest

from app import create_app
from tests.laws.budget import ROOT

PUBLIC_V2 = {"list_posts", "get_post", "list_tags", "list_categories", "create_user", "get_user", "login", "refresh"}
PUBLIC_V2 |= {"list_followers", "list_following", "get_statistics", "get_posts_per_day", "get_category_statistics"}
PUBLIC_V2 |= {"get_top_authors", "get_word_counts"}
GUARDED_V2 = {"logout", "change_password", "get_me", "update_me", "follow_user", "unfollow_user"}
GUARDED_V2 |= {"create_post", "update_post", "delete_post", "list_trash", "restore_post", "list_drafts"}
GUARDED_V2 |= {"list_todos", "create_todo", "get_todo", "update_todo", "delete_todo"}
GUARDED_V2 |= {"list_notifications", "count_unread", "mark_all_read", "mark_read"}
GUARDED_V2 |= {"get_cache", "get_cache_effects", "purge_cache", "renew_cache"}
GUARDED_V2 |= {"get_outbox", "list_messages", "replay_message", "discard_message"}
GUARDED_V2 |= {"replay_messages", "discard_messages"}
GUARDED_V2 |= {"list_accounts", "get_account", "administer_account", "delete_account"}
GUARDED_V2 |= {"list_webhooks", "create_webhook", "get_webhook", "update_webhook", "delete_webhook", "ping_webhook"}
GUARDED_V2 |= {"rotate_webhook_secret", "list_webhook_deliveries", "redeliver_webhook"}
GUARDED_V2 |= {"refresh_statistics", "get_statistics_refresh"}
GUARDED_V2 |= {"get_preferences", "update_preferences", "list_mutes"}
GUARDED_V2 |= {"mute_author", "unmute_author", "mute_post", "unmute_post"}
FROZEN = ROOT / "docs/swagger/v1.json"


@pytest.fixture
def description(client):
    return client.get("/api/swagger.json").json


def _references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def test_every_reference_resolves(description):
    """Nested schemas dangle unless each definition is registered (TRAPS 27)."""
    named = {f"#/definitions/{name}" for name in description["definitions"]}
    assert set(_references(description)) <= named


def test_every_operation_has_a_summary_a_success_and_an_id_of_its_own(description):
    ids = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation.get("summary"), f"{method} {path}"
            assert any(status.startswith("2") for status in operation["responses"]), f"{method} {path}"
            ids.append(operation["operationId"])
    assert len(ids) == len(set(ids))
    wanted = {
        "list_users",
        "create_user",
        "get_user",
        "update_user",
        "delete_user",
        "login_user",
        "logout_user",
        "list_posts",
    }
    wanted |= {"create_post", "get_post", "update_post", "delete_post", "delete_all_posts"}
    wanted |= {"list_todos", "create_todo", "get_todo", "update_todo", "delete_todo"}
    wanted |= {f"{name}_v2" for name in (*GUARDED_V2, *PUBLIC_V2)}
    assert set(ids) == wanted


def test_every_guarded_operation_says_so(description):
    guarded = {
        operation["operationId"]
        for operations in description["paths"].values()
        for method, operation in operations.items()
        if method != "parameters" and operation.get("security") == [{"jwt": []}]
    }
    assert guarded == {
        "create_post",
        "create_todo",
        "delete_all_posts",
        "delete_post",
        "delete_todo",
        "get_todo",
        "list_todos",
        "delete_user",
        "logout_user",
        "update_post",
        "update_todo",
        "update_user",
        *(f"{name}_v2" for name in GUARDED_V2),
    }


def test_the_security_scheme_is_named_jwt(description):
    assert description["securityDefinitions"]["jwt"]["name"] == "Authorization"


def test_query_parameters_are_described_with_their_bounds(description):
    parameters = {p["name"]: p for p in description["paths"]["/v1/posts"]["get"]["parameters"]}
    assert set(parameters) == {"user_id", "category", "page", "per_page"}
    assert parameters["per_page"]["maximum"] == 100
    assert parameters["per_page"]["default"] == 20


def test_every_parameter_has_a_type(description):
    """Swagger 2.0 wants one; generated clients fail without."""
    for path, operations in description["paths"].items():
        for item in operations.values():
            for parameter in item if isinstance(item, list) else item.get("parameters", []):
                assert "type" in parameter or "schema" in parameter, f"{path} {parameter['name']}"


def test_the_docs_page_needs_no_other_host(client):
    page = client.get("/api/docs")
    assert page.status_code == 200
    assert page.content_type.startswith("text/html")
    assert b"://" not in page.data
    assets = re.findall(r'(?:src|href)="([^"]+\.(?:js|css|png))"', page.text)
    assert len(assets) == 5
    for path in assets:
        with client.get(path) as asset:
            assert asset.status_code == 200
            assert asset.headers["ETag"]
            assert asset.headers["Cache-Control"] == "no-cache"


def test_the_root_leads_to_the_docs(client):
    assert client.get("/").headers["Location"] == "/api/docs"


def test_v1_is_frozen(description):
    """What v1 promises is kept in a file: a difference is a broken promise, or a deliberate one that is written anew
    (`python -m tests.laws.test_swagger`) and said in the CHANGELOG."""
    assert v1_of(description) == json.loads(FROZEN.read_text())


def v1_of(description):
    """What of the description is v1's."""
    paths = {path: item for path, item in description["paths"].items() if path.startswith("/v1/")}
    definitions = {name: item for name, item in description["definitions"].items() if name.endswith("V1")}
    return {"paths": paths, "definitions": definitions}


if __name__ == "__main__":
    described = create_app().test_client().get("/api/swagger.json").json
    FROZEN.write_text(json.dumps(v1_of(described), indent=1, sort_keys=True) + "\n")
