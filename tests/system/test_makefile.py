"""The targets that `make test` begins with: the parts of the suite that no wheel brings."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.laws.budget import ROOT

PACKAGES = {
    "chromium-headless-shell": ("Chromium", "chromium-headless-shell"),
    "nginx": ("nginx", "nginx-light"),
    "rabbitmq-server": ("RabbitMQ", "rabbitmq-server"),
}


@pytest.fixture(params=PACKAGES)
def target(request):
    """The program, which is also the name of the target."""
    return request.param


@pytest.fixture
def make(tmp_path, target):
    """make(id="0", …): run the target on a machine that has only the named programs, each printing what is given."""

    def run(**programs):
        for name, prints in programs.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{tmp_path}/log\necho {prints}\n')
            program.chmod(0o755)
        environ = {"PATH": str(tmp_path)}
        command = [shutil.which("make"), "--no-print-directory", f"SBIN={tmp_path}", target]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        log = tmp_path / "log"
        return done, log.read_text().splitlines() if log.exists() else []

    return run


def test_a_machine_that_has_it_is_left_alone(make, target):
    done, called = make(**{target: ""}, id="0", apt_get="")
    assert (done.returncode, done.stdout, done.stderr, called) == (0, "", "", [])


def test_root_gets_it_by_apt_without_a_question(make, target):
    done, called = make(id="0", apt_get="")
    assert (done.returncode, done.stderr) == (0, "")
    install = f"apt-get install -qq -y --no-install-recommends {PACKAGES[target][1]}"
    assert called == ["id -u", "apt-get update -qq", install]


@pytest.mark.parametrize("programs", [{"id": "1000", "apt_get": ""}, {"id": "0"}], ids=["not root", "no apt"])
def test_anybody_else_is_told_in_one_line_what_to_install(make, target, programs):
    done, called = make(**programs)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said == ["The tests need {}: apt-get install {}, as root".format(*PACKAGES[target])]
    assert not any(call.startswith("apt-get") for call in called)
