"""/metrics: what all web processes did, summed (Prometheus' text format)."""

from __future__ import annotations

import re

import pytest
import requests

from app import create_app
from tests.servers import WebServer, wait_for

TOKEN = "a-token-for-the-metrics"
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def samples(text):
    """{(name, labels): value}."""
    return {(name, labels or ""): float(value) for name, labels, value in SAMPLE.findall(text)}


def value(found, name, **labels):
    """The sum of the samples of that name that have these labels."""
    wanted = [f'{label}="{text}"' for label, text in labels.items()]
    return sum(number for (of, given), number in found.items() if of == name and all(w in given for w in wanted))


@pytest.fixture
def counted(environ, tmp_path):
    """A server with a folder of its own: counted(): its samples, and the processes that made them."""
    folder = tmp_path / "metrics"
    with WebServer(environ | {"METRICS_DIR": str(folder)}) as server:

        def ask():
            answer = requests.get(f"{server.url}/metrics", timeout=10)
            assert answer.status_code == 200
            return samples(answer.text)

        ask.url, ask.folder = server.url, folder
        yield ask


def test_the_answers_of_all_processes_are_summed_by_route_and_status(app, counted, make_user, make_post):
    post = make_post(make_user())
    for _ in range(20):  # each on a connection of its own, so that both processes get some
        assert requests.get(f"{counted.url}/api/v1/posts/{post.id}", timeout=10).status_code == 200
    for _ in range(3):
        assert requests.get(f"{counted.url}/api/v1/posts/4711", timeout=10).status_code == 404
    requests.get(f"{counted.url}/wp-login.php", timeout=10)
    route, answers, seconds = "/api/v1/posts/<int:id>", "broadsheet_requests_total", "broadsheet_request_seconds"

    def hits_are_written_down():
        return value(counted(), answers, method="GET", route=route, status="200") == 20

    wait_for(hits_are_written_down)
    found = counted()
    computed = value(found, f"{seconds}_count", method="GET", route=route, status="200")
    assert 1 <= computed <= 4
    assert value(found, f"{seconds}_bucket", route=route, status="200", le="+Inf") == computed
    assert 0 < value(found, f"{seconds}_sum", route=route, status="200") < 20
    assert value(found, answers, route=route, status="404") == 3
    assert not [labels for _, labels in found if "wp-login" in labels], "strangers do not choose our labels"
    assert value(found, "broadsheet_cache_total", route=route) == 20
    assert value(found, "broadsheet_cache_total", route=route, outcome="hit near") >= 16
    assert value(found, "broadsheet_cache_total", route=route, outcome="uri-miss") >= 1
    assert value(found, "broadsheet_sql_seconds_count") >= 1
    processes = {path.stem.rpartition("_")[2] for path in counted.folder.iterdir()}
    assert len(processes) == 2, "both processes answered"


def test_why_a_cached_route_was_no_hit_is_counted(app, counted, make_user, make_post, sql):
    post = make_post(make_user())
    url = f"{counted.url}/api/v1/posts/{post.id}"
    with requests.Session() as one:  # one connection: one process
        one.get(url, timeout=10)
        sql("UPDATE posts SET title = 'new'")
        one.get(url, timeout=10)
    assert value(counted(), "broadsheet_cache_total", outcome="stale") == 1


def test_the_outbox_shows_what_waits_and_for_how_long(client, sql):
    nothing = samples(client.get("/metrics", environ_base=LOCAL).text)
    assert value(nothing, "broadsheet_outbox_oldest_seconds") == 0
    columns = "event_id, event, subscriber, ids, created_at, next_attempt_at, attempts, done_at"
    for subscriber, done in (("mail", "NULL"), ("mail", "'2026-01-02'"), ("inbox", "'2026-01-02'")):
        values = f"'x', 'x', '{subscriber}', '{{}}', '2026-01-01', '2026-01-01', 0, {done}"
        sql(f"INSERT INTO outbox ({columns}) VALUES ({values})")
    found = samples(client.get("/metrics", environ_base=LOCAL).text)
    numbers = {
        (state, to): value(found, "broadsheet_outbox_messages", state=state, event="x", subscriber=to)
        for state in ("waiting", "done", "dead")
        for to in ("mail", "inbox")
    }
    assert {key for key, number in numbers.items() if number == 1} == {
        *(("waiting", "mail"), ("done", "mail"), ("done", "inbox")),
    }
    assert sum(numbers.values()) == 3
    assert value(found, "broadsheet_outbox_oldest_seconds") > 3600
    assert value(found, "broadsheet_outbox_lag_seconds", subscriber="mail") > 3600
    assert value(found, "broadsheet_outbox_lag_seconds", subscriber="inbox") == 0


def test_only_this_machine_is_shown_them(client):
    assert client.get("/metrics", environ_base=LOCAL).status_code == 200
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.7"}).status_code == 404


def test_a_token_lets_others_in_and_nobody_without_it(environ, app):
    client = create_app(environ | {"METRICS_TOKEN": TOKEN}).test_client()
    far = {"REMOTE_ADDR": "203.0.113.7"}
    for base in (LOCAL, far):
        assert client.get("/metrics", environ_base=base).status_code == 401
        assert client.get("/metrics", environ_base=base, headers={"Authorization": "Bearer x"}).status_code == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/metrics", environ_base=base, headers=right).status_code == 200


def test_a_folder_that_cannot_be_written_costs_the_counts_and_no_answer(environ, app, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with WebServer(environ | {"METRICS_DIR": f"{tmp_path}/file/below"}) as server:
        assert requests.get(f"{server.url}/api/v1/posts", timeout=10).status_code == 200
