"""docker-compose.yml is true in all but its images: its commands, its environment, its proxy do the main job."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller

import config
from app.tasks.settings import celery_settings
from tests.conftest import BACKEND, fresh_database
from tests.servers import ROOT, free_port, wait_for
from tests.system.topology import COMPOSE, OURS, SERVICES, command_of, environment_of, started

ON_POSTGRESQL = pytest.mark.skipif(BACKEND != "postgresql", reason="its database is PostgreSQL")
ANNA = {"username": "anna", "password": "correct horse battery"}

LOGIN, READ = "POST /api/v2/auth/login HTTP/1.1\r\nHost: localhost", "GET /api/v2/posts HTTP/1.1\r\nHost: localhost"
FRAMINGS = {
    "a length and chunks": (f"{LOGIN}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", 400),
    "two lengths": (f"{LOGIN}\r\nContent-Length: 4\r\nContent-Length: 5", 400),
    "a length with a sign": (f"{LOGIN}\r\nContent-Length: +4", 400),
    "an unknown encoding": (f"{LOGIN}\r\nTransfer-Encoding: xchunked", 400, 501),
    "two hosts": (f"{READ}\r\nHost: evil.example", 400),
    "no host": ("GET /api/v2/posts HTTP/1.1", 400),
    "a long header": (f"{READ}\r\nX-Long: {'a' * 10_000}", 400, 431),
    "a long target": (f"GET /{'a' * 9000} HTTP/1.1\r\nHost: localhost", 414),
}


class Sink:
    """Takes every mail."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture(scope="module")
def sink():
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    sink.port = controller.port
    yield sink
    controller.stop()


@pytest.fixture(scope="module")
def topology(sink, tmp_path_factory):
    with fresh_database("compose", tmp_path_factory.mktemp("compose")) as url, started(url, sink.port) as topology:
        wait_for(lambda: _ready(topology.url), 60)
        yield topology


def _ready(url):
    try:
        return requests.get(f"{url}/api/health/ready", timeout=2).status_code == 200
    except requests.ConnectionError:
        return False


@ON_POSTGRESQL
def test_the_whole_topology_does_the_main_job(topology, sink):
    api = f"{topology.url}/api/v2"
    assert requests.post(f"{api}/users", json=ANNA | {"email": "anna@example.org"}, timeout=10).status_code == 201
    token = requests.post(f"{api}/auth/login", json=ANNA, timeout=10).json()["access_token"]
    hers = {"Authorization": f"Bearer {token}"}
    written = requests.post(f"{api}/posts", json={"title": "Hello", "content": "Words"}, headers=hers, timeout=10)
    assert written.status_code == 201
    read = requests.get(f"{api}/posts/{written.json()['id']}", timeout=10)
    assert read.json()["title"] == "Hello"
    assert "; hit;" in read.headers["Cache-Status"]
    wait_for(lambda: len(sink.taken) == 2, 30)  # she is greeted, and told that her post is published
    assert [mail.rcpt_tos for mail in sink.taken] == [["anna@example.org"]] * 2
    assert requests.get(f"{api}/notifications/unread", headers=hers, timeout=10).json() == {"unread": 2}


@ON_POSTGRESQL
def test_every_part_is_ready(topology):
    parts = requests.get(f"{topology.web}/api/health/ready", headers={"Host": "localhost"}, timeout=10).json()["parts"]
    assert parts == {"database": "ok", "cache": "ok", "broker": "ok", "delivery": "ok"}


@ON_POSTGRESQL
def test_beat_has_begun(topology):
    wait_for(lambda: "beat: Starting" in topology.processes["beat"].output)


@ON_POSTGRESQL
def test_the_metrics_are_for_those_inside(topology):
    assert requests.get(f"{topology.url}/metrics", timeout=10).status_code == 404
    inside = requests.get(f"{topology.web}/metrics", headers={"Host": "localhost"}, timeout=10)
    assert "broadsheet_request_seconds_count" in inside.text


@ON_POSTGRESQL
@pytest.mark.parametrize("service", ["web", "stream"])
def test_the_health_check_of_what_serves_passes(topology, service):
    _, program, *arguments = SERVICES[service]["healthcheck"]["test"]
    assert program == "python"
    for there, url in {"8000": topology.web, "8001": topology.stream}.items():
        arguments = [argument.replace(there, url.rpartition(":")[2]) for argument in arguments]
    wait_for(lambda: subprocess.run([sys.executable, *arguments], timeout=10, check=False).returncode == 0)


@ON_POSTGRESQL
def test_the_health_check_of_the_proxy_passes(topology):
    *_, url = SERVICES["proxy"]["healthcheck"]["test"]
    assert requests.get(url.replace("8080", topology.url.rpartition(":")[2]), timeout=10).status_code == 200


@ON_POSTGRESQL
def test_the_inbox_streams_through_the_proxy(topology):
    """Unbuffered, and to a process of its own: the web would answer 404."""
    wait_for(lambda: "Started worker" in topology.processes["stream"].output)
    clara, api = ANNA | {"username": "clara"}, f"{topology.url}/api/v2"
    assert requests.post(f"{api}/users", json=clara, timeout=10).status_code == 201
    token = requests.post(f"{api}/auth/login", json=clara, timeout=10).json()["access_token"]
    hers = {"Authorization": f"Bearer {token}", "Last-Event-ID": "0"}
    with requests.get(f"{api}/notifications/stream", headers=hers, stream=True, timeout=10) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(b"data: ")).startswith(b'data: {"id":')


@ON_POSTGRESQL
def test_the_proxy_says_who_asks_and_a_client_cannot(topology):
    """Each address has its own limit of writes: a forged X-Forwarded-For must not open another."""
    body = {"username": "nobody", "password": "wrong"}
    left = set()
    for n in range(3):
        forged = {"X-Forwarded-For": f"203.0.113.{n}"}
        answer = requests.post(f"{topology.url}/api/v2/auth/login", json=body, headers=forged, timeout=10)
        left.add(re.search(r"r=(\d+)", answer.headers["RateLimit"])[1])
    assert len(left) == 3, "three addresses were counted, not one"


@ON_POSTGRESQL
def test_what_is_for_operators_is_not_shown_outside(topology):
    assert requests.get(f"{topology.url}/metrics", timeout=10).status_code == 404


@ON_POSTGRESQL
@pytest.mark.parametrize("what", FRAMINGS)
def test_f14_ambiguous_framing_is_refused(topology, what):
    head, *statuses = FRAMINGS[what]
    assert _status(topology, f"{head}\r\n\r\n") in statuses


@ON_POSTGRESQL
def test_a_body_far_over_the_limit_is_a_problem_of_the_usual_shape(topology):
    answer = requests.post(f"{topology.url}/api/v2/auth/login", data=b"x" * 5_000_000, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert answer.json()["code"] == "too_large"


def _status(topology, text):
    port = int(topology.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(text.encode())
        return int(client.makefile("rb").readline().split()[1])


def test_every_setting_of_the_file_is_one_of_ours():
    """A misspelt one would be ignored."""
    known = {setting.name for setting in config.SETTINGS}
    for name in OURS:
        given = {key.removesuffix("_FILE") for key in environment_of(name)}
        assert given - known <= {"REMAP_SIGTERM"}, name


def test_every_service_is_bounded_and_comes_back():
    for name, service in SERVICES.items():
        if name != "migrate":
            assert service["restart"] == "unless-stopped", name
            assert service["deploy"]["resources"]["limits"].keys() == {"memory", "cpus"}, name


@pytest.mark.parametrize("name", ["web", "sender", "caller"])
def test_who_asks_mail_servers_webhooks_or_their_names_has_a_way_out(name):
    assert any(not COMPOSE["networks"][network].get("internal") for network in SERVICES[name]["networks"])


def test_every_queue_has_its_worker():
    settings = celery_settings("redis://broker")
    queues = {settings["task_default_queue"], *(route["queue"] for route in settings["task_routes"].values())}
    commands = [command_of(name) for name in OURS]
    taken = [queue for words in commands if "-Q" in words for queue in words[words.index("-Q") + 1].split(",")]
    assert sorted(taken) == sorted(queues)


def test_every_image_is_pinned():
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert images
    for image in images:
        assert re.search(r":v?\d+\.\d+", image), image


def test_the_image_has_what_its_commands_need():
    """The Dockerfile copies by name; a module that `run.py` imports and nobody copied would fail at the start only."""
    copied = set(re.findall(r"^COPY --chown=root:root (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    names = {name for line in copied for name in line.split()}
    assert {"app", "migrations", "run.py", "celery_worker.py", "config.py"} <= names
    assert all((ROOT / name).exists() for name in names)


def test_secrets_are_made_once(tmp_path):
    script = tmp_path / "make-secrets"
    script.write_text(Path(ROOT, "deploy/make-secrets").read_text())
    made = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        made.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert made[0] == made[1]
    assert made[0].keys() == {"secret_key", "database_password", "database_url"}
    assert made[0]["database_password"] in made[0]["database_url"]
    config.load({"SECRET_KEY": made[0]["secret_key"], "DATABASE_URL": made[0]["database_url"]})
