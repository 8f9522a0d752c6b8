"""`make demo` in short: it ends with its table, in which the tutorials' way is stale and Broadsheet is not."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from tests.conftest import BACKEND
from tests.servers import ROOT, wait_for
from tests.system.test_run import alive

pytestmark = pytest.mark.skipif(BACKEND != "sqlite", reason="the demo has its own SQLite, whatever TEST_DATABASE")
COMMAND = [sys.executable, "-m", "benchmarks.demo"]


def shown(output):
    """The table that ends it: name -> its cells as numbers."""
    rows = [line.strip("| ").split(" | ") for line in output.splitlines() if line.startswith("|")]
    names = ("reads", "stale", "writes", "errors")
    return {
        name: [SimpleNamespace(**dict(zip(names, map(number, part), strict=True))) for part in (cells[:4], cells[4:])]
        for name, *cells in rows[2:]
    }


def number(cell):
    return int(cell.replace(",", ""))


def test_broadsheet_is_never_stale_where_the_tutorials_way_is():
    ran = subprocess.run(
        [*COMMAND, "--seconds", "2", "--down", "1"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    table = shown(ran.stdout)
    with_redis, without = table["Broadsheet"]
    assert with_redis.reads > 0
    assert (with_redis.stale, without.stale) == (0, 0)
    assert (with_redis.errors, without.errors) == (0, 0)
    assert table["the tutorial"][0].stale > 0


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_nothing_is_left_running(end, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        demo = subprocess.Popen(COMMAND, cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ))
    try:
        wait_for(lambda: "Redis is up" in (tmp_path / "log").read_text(), 90)
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 1 + 2 * 3 + 2 * 4  # Redis, granian and its workers, readers and writers
    finally:
        getattr(demo, end)()
        demo.wait(20)
    wait_for(lambda: not alive(children), 5)
