"""swagger-typescript-api makes a client from the description; a program that does the main job with it is compiled by
`tsc --strict` and run by node. A field, a parameter or an operation that is named or typed otherwise does not compile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.servers import ROOT, WebServer

HERE = ROOT / "tests/contract"
NODE = str(Path(sys.executable).parent / "node")  # a wheel carries it
MODULES = Path(sys.prefix) / "npm/node_modules"  # the Makefile installs them
TSC = ("--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext")
Build = Callable[[bytes], subprocess.CompletedProcess[str]]


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run((NODE, *command), cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """build(description): make the client, and compile the program with it."""
    for name in ("package.json", "main_job.ts"):
        shutil.copy(HERE / name, tmp_path)

    def make(description: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "swagger.json").write_bytes(description)
        generate = ("generate", "--path", "swagger.json", "--output", ".", "--name", "api.ts", "--silent")
        made = run(tmp_path, MODULES / ".bin/swagger-typescript-api", *generate)
        assert made.returncode == 0, made.stdout + made.stderr
        client = tmp_path / "api.ts"
        client.write_text(client.read_text().replace("// @ts-nocheck\n", ""))  # it is checked all the same
        return run(tmp_path, MODULES / ".bin/tsc", *TSC, "main_job.ts")

    return make


def test_a_program_in_typescript_compiles_strictly_and_does_the_main_job(
    server: WebServer, client: Any, build: Build, tmp_path: Path
) -> None:
    compiled = build(client.get("/api/swagger.json").data)
    assert compiled.returncode == 0, compiled.stdout
    done = run(tmp_path, "main_job.js", f"{server.url}/api")
    assert done.returncode == 0, done.stderr
    said = orjson.loads(done.stdout)
    assert said["v1"] == {
        "mobile": None,
        "listed": ["Hello"],
        "changed": ["Bye", "Words."],
        "deleted": "Post deleted",
        "gone": "Post not found",
        "refused": "revoked_token",
    }
    assert said["v2"] == {
        "author": "Alice L.",
        "listed": ["Three", "Two", "One"],
        "total": 3,
        "changed": ["Uno", ["python"]],
        "trash": [["Uno", "string"], ["Bye", "string"]],
        "gone": [404, "not_found"],
        "todo": ["Buy ink", False, None],
        "wrong": [["task", "invalid"]],
    }


def test_a_field_of_another_name_does_not_compile(client: Any, build: Build) -> None:
    description = client.get("/api/swagger.json").json
    properties = description["definitions"]["PostV2"]["properties"]
    properties["headline"] = properties.pop("title")
    compiled = build(orjson.dumps(description))
    assert compiled.returncode != 0
    assert "Property 'title' does not exist on type 'PostV2'" in compiled.stdout
