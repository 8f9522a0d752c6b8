"""The laws of the house that a machine can check. Each was seen failing once when it was broken on purpose."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from app import events
from app.caching import dependencies
from app.extensions import celery
from tests.laws.budget import ROOT, over_long, sources

WRITES = {"POST", "PUT", "PATCH", "DELETE"}


def _offences(pattern, *, but=()):
    """Lines of `app/` that match, as «file:line: text», outside the files or rooms named by `but`."""
    found = []
    for path in sources("app"):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(but):
            texts = enumerate(path.read_text().splitlines(), 1)
            found += [f"{name}:{number}: {line.strip()}" for number, line in texts if re.search(pattern, line)]
    return found


def test_imports_point_down_only():
    """HOUSE, Floors: services never know of HTTP or the cache, and no version knows the other."""
    linted = subprocess.run([sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
                            cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert linted.returncode == 0, linted.stdout


def test_only_atomic_commits():
    """Law 2."""
    assert _offences(r"\.commit\(\)", but=("app/services/atomic.py",)) == []


def test_nothing_is_written_past_the_sessions_events():
    """`bulk_insert_mappings` and its kin are reached by no listener (TRAPS 15)."""
    assert _offences(r"\bbulk_(insert|update|save)") == []


def test_only_caching_knows_that_there_is_a_cache():
    """Law 3: a handler says what its answer depends on; nobody says what to delete."""
    assert _offences(r"\bcache\.(get|set|add|delete|clear|delete_memoized|delete_many)\(", but=("app/caching/",)) == []
    assert _offences(r"from flask_caching|import flask_caching", but=("app/caching/",)) == []


def test_nothing_is_published_from_a_request():
    """Law 7: the outbox is the only way; the relay alone publishes (TRAPS 38)."""
    assert _offences(r"\.(delay|apply_async)\(") == []
    assert _offences(r"\.send_task\(", but=("app/relay.py",)) == []


def test_services_speak_no_http():
    """Law 1: mail needs a setting, which `current_app` holds; nothing else of Flask is known below the routes."""
    offences = _offences(r"from flask import .*\b(request|session|g|abort|jsonify|Response)\b|flask_restx", but=(
        "app/routes/", "app/auth/", "app/caching/", "app/edge.py"))  # fmt: skip
    assert offences == []


def test_files_and_functions_are_short():
    """HOUSE, Habits: no file over 400 lines, no function over 40."""
    assert list(over_long()) == []


def test_nothing_below_a_versions_own_folders_knows_that_there_are_versions():
    """HOUSE, Versions: to drop one is to delete three folders (and v2's live stream is one more, on top of them).

    Whatever a version wants, it says as an argument.
    """
    above = ("app/routes/", "app/schemas/", "app/streaming/")
    offences = _offences(r"(?i)(?<![a-z0-9])v[12](?![a-z0-9])", but=above)
    # Standard Webhooks calls its way to sign so: no version of ours.
    assert [line for line in offences if "SYMMETRIC = " not in line] == []


def test_there_is_no_drawer_for_odds_and_ends():
    """Law 13."""
    names = {path.stem for path in sources("app")} | {path.name for path in (ROOT / "app").rglob("*") if path.is_dir()}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_service"}


def test_every_public_function_says_what_a_caller_needs():
    """Public functions, classes and modules of `app/` have docstrings; Swagger's summaries are the handlers'."""
    missing = []
    for path in sources("app"):
        tree = ast.parse(path.read_text())
        named = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        inner = {id(c) for n in named if isinstance(n, ast.FunctionDef) for c in ast.walk(n) if c is not n}
        public = [n for n in named if not n.name.startswith("_") and id(n) not in inner]
        exempt = {"Meta"}
        resources = path.is_relative_to(ROOT / "app/routes")
        for node in public:
            is_resource = resources and isinstance(node, ast.ClassDef) and _is_resource(node)
            if ast.get_docstring(node) is None and node.name not in exempt and not is_resource:
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
        if ast.get_docstring(tree) is None:
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def _is_resource(node):
    return any(isinstance(base, ast.Name) and base.id == "Resource" for base in node.bases)


def test_every_write_declares_its_guard(app):
    """Law 9."""
    unguarded, seen = [], 0
    for rule in app.url_map.iter_rules():
        resource = getattr(app.view_functions[rule.endpoint], "view_class", None)
        for method in (rule.methods or set()) & WRITES:
            seen += 1
            if not hasattr(getattr(resource, method.lower(), None), "guard"):
                unguarded.append(f"{method} {rule.rule}")
    assert seen
    assert unguarded == []


def test_a_public_read_never_asks_who_is_asking(app):
    """Law 5: what is cached under a shared key is made without a principal."""
    both = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if hasattr(get := getattr(getattr(app.view_functions[rule.endpoint], "view_class", None), "get", None), "tags")
        and hasattr(get, "guard")
        and not get.private
    ]
    assert both == []


def test_each_subscriber_is_a_task_of_its_name(app):
    """HOUSE, Notification: an event whose subscriber is misspelt would wait for ever."""
    subscribers = {name for names in events.SUBSCRIBERS.values() for name in names}
    ours = {name for name in celery.tasks if not name.startswith("celery.")}
    asked_for_by_beat = {entry["task"] for entry in celery.conf.beat_schedule.values()}
    assert subscribers == ours - asked_for_by_beat


def test_each_watched_table_moves_something(app):
    for model, rules in dependencies.MAP.items():
        assert rules, model
        assert dependencies.families_moved_by(model.__tablename__)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_schema_names_end_in_their_version(version):
    """Or Swagger silently merges two of one name (TRAPS 23)."""
    for path in sources(f"app/schemas/{version}"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and "Schema" in b.id for b in node.bases):
                assert node.name.endswith(version.upper()), f"{path}: {node.name}"
