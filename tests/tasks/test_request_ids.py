"""A request is found again in the logs of all processes that worked for it."""

from __future__ import annotations

import json

import requests

from tests.servers import WebServer, wait_for
from tests.tasks.conftest import delivering

ID = "one-request-of-many"


def _events(output):
    """The JSON objects among the lines."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_the_id_of_a_request_stands_in_the_logs_of_web_relay_and_worker(
    environ, app, make_user, token_of, delivered, sql
):
    settings = environ | {"LOG_FORMAT": "json"}
    author = make_user()
    headers = {"Authorization": f"Bearer {token_of(author)}", "X-Request-ID": ID}
    post = {"title": "Hello", "content": "Some words."}
    with delivering(settings) as delivery, WebServer(settings) as server:
        assert requests.post(f"{server.url}/api/v1/posts", json=post, headers=headers, timeout=10).status_code == 201
        delivered(4 + 1)
        wait_for(lambda: "send_mail" in delivery.worker.output)
        web, relay, worker = (_events(each.output) for each in (server, delivery.relay, delivery.worker))
    (answered,) = [event for event in web if event.get("path") == "/api/v1/posts"]
    assert answered.items() >= {"request_id": ID, "method": "POST", "status": 201}.items()
    assert answered["milliseconds"] > 0
    for events, words in ((relay, "is published for"), (worker, "is done")):
        about = {event["request_id"] for event in events if words in event["message"]}
        assert about == {ID}
    mail = [event for event in worker if "send_mail" in event["message"] and "is done" in event["message"]]
    assert mail, "what a task has caused carries the id on"
    assert {event["request_id"] for event in relay if event["message"] == "relay started"} == {None}


def test_a_line_for_a_person_ends_with_the_id(server):
    requests.get(f"{server.url}/api/v1/posts?page=x", headers={"X-Request-ID": ID}, timeout=10)
    wait_for(lambda: [line for line in server.output.splitlines() if line.endswith(f"[{ID}]") and " 400 " in line])
