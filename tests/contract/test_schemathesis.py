"""schemathesis reads the description and calls the real server with what it makes up: values that fit and values that
do not, and chains of calls where one answer feeds the next.

All its checks are on: no 5xx; statuses, content types, headers and bodies as described; what fits is taken and what
does not is refused; guards refuse without a token and with a wrong one; what was deleted is gone; alice and bob never
see each other's things. The admin serves the calls that both are refused. `hooks.py` says which findings do not count,
and why.

CONTRACT_SECONDS is how long it runs. A failure prints its seed: CONTRACT_SEED runs with it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from tests.contract import OTHERS
from tests.contract.conftest import ROLES
from tests.servers import ROOT, WebServer

SECONDS = int(os.environ.get("CONTRACT_SECONDS", "10"))
SEED = os.environ.get("CONTRACT_SEED") or str(int.from_bytes(os.urandom(4)))
SETTINGS = """
hooks = "tests.contract.hooks"
continue-on-failure = true
[generation]
database = "none"
[output.sanitization]
enabled = false
[auth.wfc]
path = "actors.json"
peers = ["alice", "bob"]
refresh_interval = 0  # to the door before each call
"""
LOGIN = {
    "verb": "POST",
    "token": {
        "extractFrom": "body",
        "extractSelector": "/token",
        "sendIn": "header",
        "sendName": "Authorization",
        "sendTemplate": "Bearer {token}",
    },
}


def test_what_schemathesis_makes_up_is_answered_as_described(server: WebServer, door: str, tmp_path: Path) -> None:
    actors: list[dict[str, Any]] = [
        {"name": name, "loginEndpointAuth": LOGIN | {"externalEndpointURL": f"{door}/{name}"}} for name in ROLES
    ]
    (tmp_path / "actors.json").write_bytes(orjson.dumps({"auth": actors}))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [sys.executable, str(OTHERS / "bin/schemathesis"), "run", f"{server.url}/api/swagger.json"]
    command += ["--checks", "all", "--max-time", str(SECONDS), "--seed", SEED]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{OTHERS}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS + 120,
    )
    print(done.stdout)
    assert done.returncode == 0, f"again with CONTRACT_SEED={SEED} CONTRACT_SECONDS={SECONDS}\n{done.stdout}"
    assert "Operations:       " in done.stdout
