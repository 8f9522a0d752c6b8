"""Each command that a page shows is run, against one `make run` in a copy of the project, and says what is expected.

Three tables hold them all: SAYS, STAYS and CANNOT. A command that is in none fails, and so does a row that is on no
page. Where a page shows what is printed, that is compared; the tours of `test_tour.py` are run there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.servers import ROOT, free_port, wait_for
from tests.system import test_tour
from tests.system.checkout import checkout, environ
from tests.system.test_run import alive

PAGES = [path for path in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))) if path.name != "CHANGELOG.md"]
TOURED = (*test_tour.PAGES, "README.zh.md")
PROGRAMS = (
    r"make|flask|python3?|pip|uv|pytest|ruff|docker|granian|celery|curl|wget|npm|npx|node|git|psql|pg_dump|sqlite3"
)
PROGRAMS += (
    r"|redis-cli|sudo|systemctl|supervisorctl|apt-get|sh|bash|export|cp|rm|kubectl|(?:\.venv|deploy|\.ci|\./)[\w./-]*"
)
INLINE = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{PROGRAMS}) \S.*")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")

# What is run to its end, with a text of what it says.
SAYS = {
    "deploy/make-secrets": "deploy/secrets has secret_key, database_password and database_url",
    "flask --app run db upgrade": "",
    "flask --app run db downgrade 0002": "",
    "flask --app run users create NAME --admin --email ADDRESS": "admin carla has id",
    "flask --app run users promote NAME [--role user]": "carla is user now",
    "flask --app run users disable NAME": "carla is disabled",
    "flask --app run users enable NAME": "carla is enabled",
    "flask --app run posts restore [--hours N]": "0 posts are back",
    "flask --app run import PATH… --as USER": "1 taken, 0 changed, 0 unchanged, 0 skipped",
    "flask --app run seed --posts N --users M": "24 posts of 3 users",
    ".venv/bin/flask --app run seed --posts 200 --users 20": "200 posts of 20 users",
    "flask --app run outbox status": "waiting  0",
    "flask --app run outbox dead": "",
    "flask --app run outbox replay": "0 messages begin anew",
    "flask --app run outbox discard --all": "0 messages are discarded",
    "flask --app run doctor": "ok    settings",
    "flask --app run cache check": "the database moves the generations of all that becomes stale",
    "flask --app run cache show": "mode   direct",
    "flask --app run cache effects posts": "tags   posts",
    "flask --app run cache purge post:17": "1 slots have moved",
    "flask --app run cache install": "the triggers are as the page says",
    "flask --app run cache rebase": "every cached answer is stale now",
    "make help": "make run",
    "make fmt": "files left unchanged",
    "python config.py docs > docs/settings.md": "",
    "python config.py env > .env.example": "",
    "python -m tests.laws.test_swagger": "",
}
FILLED = {"NAME": "carla", "USER": "carla", "ADDRESS": "carla@example.org", "PATH…": "notes", "N": "24"}
FILLED |= {"M": "3 --seed 2"}  # another than the seed of the guide
TYPED = "a long passphrase\n"
AFTERWARDS = {  # what is run then, with a text of what that says
    "flask --app run db upgrade": {"flask --app run db current": "(head)"},
    "flask --app run db downgrade 0002": {"flask --app run db current": "0002", "flask --app run db upgrade": ""},
    # The last admin stays: one more, that she can be demoted and disabled.
    "flask --app run users create NAME --admin --email ADDRESS": {"flask --app run users create root --admin": "root"},
}
# What runs until it is told to end, with what it says when it is there.
STAYS = {
    "granian --interface wsgi --workers 2 --blocking-threads 8 run:app": "Started worker-2",
    "granian --interface asgi --factory --loop asyncio --port 5001 app.streaming:create": "Started worker-1",
    "flask --app run outbox relay": "relay started",
    "celery -A celery_worker.celery worker -Q notifications,urgent,mail,webhooks,background": ".> notifications ",
    "celery -A celery_worker.celery beat": "is starting",
}
# What is not run here, and why.
MINUTES = "takes minutes; `make test` is what decides, and its parts are the suite"
DOCKER = "needs a Docker engine: tests/system/test_deployment.py starts what the file starts, without one"
CANNOT = {
    "python run.py": "`make run` becomes it; tests/system/test_run.py starts it",
    "make check": "mypy alone takes longer from nothing than this file may; `make test` begins with it",
    "make test": MINUTES,
    "make contract": MINUTES,
    "make drills": MINUTES,
    "make coverage": MINUTES,
    "make lock": "asks a package index, whose answer differs from day to day",
    "make demo": "takes 40 s: tests/system/test_demo.py runs it for two",
    "make hammer MINUTES=30": "takes half an hour: tests/caching/test_hammer.py runs it for seconds",
    "make explore": "takes two minutes: tests/caching/test_explorer.py looks at the small configurations",
    "make bench": "takes half an hour, and wants wrk, nginx and Varnish",
    "flask --app run db migrate": "needs a model to find: tests/system/test_docs_guide.py runs it",
    ".venv/bin/python -m pytest tests/laws/test_house.py": "tests/system/test_docs_guide.py runs it",
    "docker compose up --build": DOCKER,
    "docker compose build && docker compose up -d": DOCKER,
    "TRUSTED_HOSTS=blog.example.org docker compose up -d": DOCKER,
    "docker compose exec web flask --app run users create NAME --admin --email ADDRESS": DOCKER,
    "docker compose exec web flask --app run doctor": DOCKER,
    "docker compose --profile flower up": DOCKER,
}
# A flask of its own for each command, made by fork from one that has imported the app: that is what takes its time.
FORKS = """
import json, os, sys, tempfile
import flask.cli, run
for line in sys.stdin:
    arguments, typed = json.loads(line)
    with tempfile.TemporaryFile() as into, tempfile.TemporaryFile() as out:
        into.write(typed.encode())
        into.seek(0)
        child = os.fork()
        if child == 0:
            for number, file in enumerate((into, out, out)):
                os.dup2(file.fileno(), number)
            sys.stdin, sys.argv = os.fdopen(0), ["flask", *arguments]
            flask.cli.main()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        print(json.dumps([status, out.read().decode()]), flush=True)
"""


def shown():
    """Each command of each page, with what is shown below it."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        for language, block in FENCE.findall(text):
            console = language in ("", "console")
            if not (language in ("sh", "bash", "shell") or (console and re.search(r"^\$ ", block, re.MULTILINE))):
                continue
            if console and str(page.relative_to(ROOT)) in TOURED:
                continue
            command = None
            for line in block.splitlines():
                if line.startswith("$ ") or not console:
                    command = re.sub(r"\s+# .*", "", line.removeprefix("$ "))
                    found.setdefault(command, [])
                else:
                    found[command].append(line)
        for span in CODE.findall(FENCE.sub("", text)):
            if INLINE.fullmatch(command := " ".join(span.split())):
                found.setdefault(command, [])
    return found


SHOWN = shown()
STARTS = [command for command in SHOWN if re.fullmatch(r"([A-Z_]+=\S+ )*make run", command)]


def test_each_command_of_the_pages_is_in_one_table_and_each_row_on_a_page():
    rows = [*SAYS, *STAYS, *CANNOT, *STARTS]
    assert set(rows) == set(SHOWN)
    assert len(rows) == len(set(rows))


def test_each_file_that_a_reason_names_is_there():
    assert [
        name for why in CANNOT.values() for name in re.findall(r"tests/\S+\.py", why) if not (ROOT / name).exists()
    ] == []


class Broadsheet:
    """`make run` in a copy of the project, with all that the pages set for it; the commands are run beside it."""

    def __init__(self, folder):
        self.folder, self.processes = checkout(folder), {}
        self.settings = dict(part.split("=", 1) for command in STARTS for part in command.split()[:-2])
        self.settings |= {name: str(free_port()) for name in ("PORT", "STREAM_PORT")}  # that of the page may be taken
        self.environ = environ(folder, PYTHONUNBUFFERED="1", BCRYPT_LOG_ROUNDS="4", WORKERS="1")
        self.start("make run", **self.settings)
        (folder / "notes").mkdir()
        (folder / "notes/first.md").write_text("---\ntitle: First\ndate: 2026-11-20\n---\nWords.\n")
        forks = [f"{folder}/.venv/bin/python", "-c", FORKS]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.forks = subprocess.Popen(forks, cwd=folder, env=self.environ, **pipes)

    def start(self, command, **settings):
        """Begin what stays."""
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as output:
            said = {"stdout": output, "stderr": output, "start_new_session": True}
            free = command.replace("--port 5001", f"--port {free_port()}")  # that of the page may be taken
            process = subprocess.Popen(["bash", "-c", free], cwd=self.folder, env=self.environ | settings, **said)
        self.processes[command] = (process, log)

    def said(self, command):
        """What it has said so far."""
        process, log = self.processes[command]
        assert process.poll() is None, log.read_text()
        return log.read_text()

    def run(self, command):
        """The status and what was said, to its end."""
        command = re.sub(r"[\[\]]", "", command)
        command = re.sub("|".join(rf"\b{word}(?!\w)" for word in FILLED), lambda blank: FILLED[blank[0]], command)
        words = command.split()
        if words[0] in ("flask", ".venv/bin/flask"):
            self.forks.stdin.write(json.dumps([words[1:], TYPED]) + "\n")
            self.forks.stdin.flush()
            return json.loads(self.forks.stdout.readline())
        whole = {"input": TYPED, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 60}
        ran = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environ, check=False, **whole)
        return ran.returncode, ran.stdout

    def stop(self):
        """Ctrl-C for `make run`; the rest is killed outright, and nothing is left."""
        run, *others = (process for process, _ in self.processes.values())
        family = [child for each in (run, *others) for child in psutil.Process(each.pid).children(recursive=True)]
        self.forks.communicate(timeout=10)
        for process in others:
            os.killpg(process.pid, signal.SIGKILL)
        os.killpg(run.pid, signal.SIGINT)
        try:
            wait_for(lambda: not alive(family), 20)
        finally:
            for process in (run, *others):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


@pytest.fixture(scope="module")
def broadsheet():
    with tempfile.TemporaryDirectory(prefix="bs-docs-") as folder:
        running = Broadsheet(Path(folder, "p"))
        try:
            for text in ("relay started", " ready."):
                wait_for(lambda text=text: text in running.said("make run"), 120)
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def staying(broadsheet):
    """All that stays, begun at the same time, after what is run to its end: the doctor counts workers."""
    port = free_port()  # its own may be taken
    for command in STAYS:
        broadsheet.start(command, GRANIAN_PORT=str(port))
    with urllib.request.urlopen(wait_for(lambda: reached(port)), timeout=20) as answer:
        assert answer.status == 200
    return broadsheet


def reached(port):
    """The address of what listens there."""
    with socket.socket() as probe:
        listens = probe.connect_ex(("127.0.0.1", port)) == 0
    return listens and f"http://127.0.0.1:{port}/api/health/live"


def as_shown(said, folder):
    """What is said, but for versions, sizes and the folder."""
    said = said.replace(str(folder), "/srv/broadsheet")
    return re.sub(r"[\d,]+ MB", "… MB", re.sub(r"\d+\.\d+\.\d+", "…", said)).rstrip().splitlines()


def test_make_run_answers_where_and_to_whom_the_pages_say(broadsheet):
    origin = broadsheet.settings["CORS_ORIGINS"]
    request = urllib.request.Request(f"http://127.0.0.1:{broadsheet.settings['PORT']}/api/docs")
    request.add_header("Origin", origin)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)


@pytest.mark.parametrize("command", [command for command in SHOWN if command in SAYS])
def test_a_command_does_and_says_what_its_page_shows(broadsheet, command):
    status, said = broadsheet.run(command)
    assert (status, SAYS[command] in said) == (0, True), said
    if shown := SHOWN[command]:
        assert as_shown(said, broadsheet.folder) == as_shown("\n".join(shown), broadsheet.folder)
    for after, text in AFTERWARDS.get(command, {}).items():
        status, said = broadsheet.run(after)
        assert (status, text in said) == (0, True), said


@pytest.mark.parametrize("file", ["docs/settings.md", ".env.example", "docs/swagger/v1.json"])
def test_what_commands_have_written_anew_is_as_it_was(broadsheet, file):
    assert (broadsheet.folder / file).read_bytes() == (ROOT / file).read_bytes()
    assert (broadsheet.folder / file).stat().st_mtime > (broadsheet.folder / "requirements/run.txt").stat().st_mtime


@pytest.mark.parametrize("command", STAYS)
def test_a_command_that_stays_says_that_it_is_there(staying, command):
    wait_for(lambda: STAYS[command] in staying.said(command), 90)
