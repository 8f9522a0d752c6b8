"""The README's tour is true: its commands are run against `python run.py`, and print what it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import BACKEND
from tests.servers import ROOT, wait_for
from tests.system.test_run import Instance

END = "--- end of an answer ---"


def tour():
    """The commands of the README's console blocks, each with what is shown below it."""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return [(command, "\n".join(shown)) for command, shown in steps]


def matches(shown, printed):
    """`…` stands for what differs each time."""
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.skipif(BACKEND != "sqlite", reason="the tour is that of the embedded SQLite, whatever TEST_DATABASE")
def test_the_tour_prints_what_the_readme_shows():
    assert shutil.which("curl"), "the tour is made with curl: install it (apt-get install curl)"
    steps = tour()
    assert len(steps) > 10
    with tempfile.TemporaryDirectory(prefix="bs-tour-") as folder:
        instance = Instance(Path(folder, "log"), DATA_DIR=f"{folder}/var")
        try:
            wait_for(instance.is_whole, 60)
            script = "\n".join(f"{command}\necho '{END}'" for command, _ in steps)
            script = script.replace("localhost:5000", f"localhost:{instance.settings['PORT']}")
            script = script.replace(".venv/bin/python", sys.executable).replace("var/", f"{folder}/var/")
            script = script.replace(".venv/bin/flask", f"{sys.executable} -m flask")
            environ = {"PATH": "/usr/bin:/bin", "DATA_DIR": f"{folder}/var", "LOG_LEVEL": "WARNING"}
            ran = subprocess.run(
                ["bash"], input=script, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=90
            )
        finally:
            instance.process.terminate()
            instance.process.wait(20)
    printed = ran.stdout.split(f"{END}\n")
    for (command, shown), answer in zip(steps, printed, strict=False):
        assert matches(shown, answer), f"{command}\nshown:   {shown}\nprinted: {answer}\n{ran.stderr}"
    assert len(printed) == len(steps) + 1
