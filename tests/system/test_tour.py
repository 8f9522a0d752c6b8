"""The README's tour is true, in both languages, and so is the frontend developer's guide: their commands are run
against one `python run.py`, page after page, and print what is shown.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers import ROOT, wait_for
from tests.system.test_run import Instance

END = "--- end of an answer ---"
PAGES = ("README.md", "docs/guides/frontend.md")
ORIGIN = "http://localhost:5173"  # the guide's frontend


def tour(page):
    """The commands of the page's console blocks, each with what is shown below it."""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
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


def blocks(page):
    """The page's blocks of code, as they stand."""
    return re.findall(r"^```.*?^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def test_the_chinese_readme_makes_the_same_tour():
    assert blocks("README.zh.md") == blocks("README.md")


def test_the_tour_and_the_frontend_guide_print_what_they_show():
    assert shutil.which("curl"), "the tour is made with curl: install it (apt-get install curl)"
    assert all(len(tour(page)) > 10 for page in PAGES)
    steps = [step for page in PAGES for step in tour(page)]
    with tempfile.TemporaryDirectory(prefix="bs-tour-") as folder:
        instance = Instance(Path(folder, "log"), DATA_DIR=f"{folder}/var", CORS_ORIGINS=ORIGIN)
        try:
            wait_for(instance.is_whole, 60)
            script = "\n".join(f"{command}\necho '{END}'" for command, _ in steps)
            script = script.replace("localhost:5000", f"localhost:{instance.settings['PORT']}")
            script = script.replace("localhost:5001", f"localhost:{instance.settings['STREAM_PORT']}")
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
