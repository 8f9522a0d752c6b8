"""A copy of the project, for tests that change its files or follow a page in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.servers import ROOT

STAMPS = ("run.stamp", "test.stamp")  # make installs nothing: our own interpreter has it all


def checkout(folder: Path) -> Path:
    """Copy what git does not ignore into the folder, with a `.venv` that is ours under another name."""
    ignored = [line.strip("/").split("/")[-1] for line in (ROOT / ".gitignore").read_text().split() if line[0] != "!"]
    ignored = [name for name in ignored if "pyc" not in name]  # good for the copy too, and compiling takes its time
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored), symlinks=True)
    venv = folder / ".venv"
    venv.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.suffix != ".stamp":
            (venv / path.name).symlink_to(path)
    for name in STAMPS:
        (venv / name).touch()
    return folder


def environ(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a shell there, in which the commands of the pages are found."""
    return {"PATH": f"{folder}/.venv/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"} | settings
