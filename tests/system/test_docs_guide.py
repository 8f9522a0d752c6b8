"""The guide for the next engineer, followed in a copy of the project: its quotes are built, and the tests agree.

Each block of the chapter belongs into the file that is named last before it; `…` stands for what differs.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.system.checkout import checkout, environ

GUIDE = (ROOT / "docs/guides/next-engineer.md").read_text()
CHAPTER = GUIDE.partition("## A resource from end to end\n")[2].partition("\n## ")[0]
PIECE = re.compile(r"`([\w/]+/\w+\.py)`|^```(python|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `tests/[\w/]+\.py` \|.*\| (`test_[^|]+`) \|$", re.MULTILINE)
LAWS = ".venv/bin/python -m pytest tests/laws/test_house.py"  # as the guide and CONTRIBUTING show it
CONCERNED = "tests/api/v2/test_quotes.py tests/laws/test_swagger.py tests/caching/test_triggers.py"
CONCERNED += " tests/laws/test_access_matrix.py tests/laws/test_lists.py tests/caching/test_canaries.py"
CONCERNED += " tests/caching/test_oracle.py tests/caching/test_audit.py tests/hardening/test_input.py"
# Of those, what is about quotes or about every route; the rest says the same as without them, and takes its time.
SELECTED = "quote or slots or canaries_sing or has_a_row or operation or in_the_world or every_cached_address"


def steps():
    """(file, kind, text) of each block, in the chapter's order."""
    file = ""
    for path, kind, text in PIECE.findall(CHAPTER):
        file = path or file
        if kind:
            yield file, kind, text


def patched(old, diff):
    """The file after the diff: a `+` after a `-` is in its place, any other before the line below it, or at the end."""
    left, done, waiting, fillings = old.splitlines(), [], [], None
    for sign, line in ((line[:1], line[1:]) for line in diff.splitlines()):
        if sign != "+":
            pattern = re.compile("(.*)".join(map(re.escape, line.split("…"))))
            place = next((n for n, text in enumerate(left) if pattern.fullmatch(text)), None)
            assert place is not None, f"no such line, or not in this order: {line}"
            fillings = pattern.fullmatch(left[place]).groups() if sign == "-" else None
            done += [*left[:place], *waiting, *([] if sign == "-" else [left[place]])]
            left, waiting = left[place + 1 :], []
        elif fillings is None:
            waiting.append(line)
        else:
            done.append(line.replace("…", "%s") % fillings if fillings else line)
            fillings = None
    return "\n".join([*done, *waiting, *left]) + "\n"


def defines(path, name):
    """Whether the file has a test of this name."""
    return f"def {name}(" in path.read_text()


class Copy:
    """The project as the guide changes it."""

    def __init__(self, folder):
        self.folder, self.written = checkout(folder), []

    def carry_out(self, start):
        """Do the steps for the files that begin with this."""
        revisions = sorted(path.stem[:4] for path in (self.folder / "migrations/versions").glob("0*.py"))
        for file, kind, text in steps():
            if file.startswith(start):
                path = self.folder / file
                assert path.exists() == (kind == "diff"), file
                text = text.replace('down_revision = "…"', f'down_revision = "{revisions[-1]}"')
                path.write_text(text if kind == "python" else patched(path.read_text(), text))
                self.written.append(path)

    def run(self, command):
        """The status and what was said."""
        settings = {"SECRET_KEY": "a-secret-for-tests-only-0123456789abcdef", "PYTEST_ADDOPTS": "-q --tb=short -rfE"}
        env = environ(self.folder, **settings)
        ran = subprocess.run(command, shell=True, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120)
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def copy():
    with tempfile.TemporaryDirectory(prefix="bs-guide-") as folder:
        yield Copy(Path(folder, "p"))


def test_a_draft_of_the_migration_has_the_table_and_the_type_that_is_not_meant(copy):
    copy.carry_out("app/models/")
    (copy.folder / "var").mkdir()
    assert copy.run("flask --app run db upgrade")[0] == 0
    status, said = copy.run("flask --app run db migrate")
    assert status == 0, said
    versions = copy.folder / "migrations/versions"
    (draft,) = (path for path in versions.glob("*.py") if not (ROOT / "migrations/versions" / path.name).exists())
    text = draft.read_text()
    draft.unlink()
    assert "op.create_table('quotes'" in text
    assert "app.models.base.Timestamp" in text


def test_what_has_no_row_yet_fails_the_test_that_the_guide_names(copy):
    for start in ("migrations/", "app/caching/", "app/services/", "app/schemas/", "app/routes/"):
        copy.carry_out(start)
    named = {name for names in ROW.findall(CHAPTER) for name in re.findall(r"test_\w+", names)}
    assert len(named) > 5
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if any(defines(path, name) for name in named)]
    places = " ".join(sorted(str(path.relative_to(ROOT)) for path in files))
    _, said = copy.run(f"python -m pytest {places} -k '{' or '.join(named)}'")
    assert set(re.findall(r"^(?:FAILED|ERROR) [\w/.]+::(\w+)", said, re.MULTILINE)) == named, said


def test_with_its_rows_the_resource_passes_its_own_tests_and_those_of_the_house(copy):
    copy.carry_out("tests/")
    assert {file for file, *_ in steps()} == {str(path.relative_to(copy.folder)) for path in copy.written}
    status, said = copy.run(f"python -m pytest {CONCERNED} -k '{SELECTED}'")
    assert status == 0, said
    status, said = copy.run(LAWS)
    assert status == 0, said


def test_the_guides_code_is_as_make_fmt_would_have_it(copy):
    before = {path: path.read_text() for path in copy.written}
    status, said = copy.run("make fmt")
    assert status == 0, said
    assert {path: path.read_text() for path in copy.written} == before


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:[\w/.]+)?(?:::)?(test_\w+)`", GUIDE))))
def test_each_test_that_the_guide_names_is_there(name):
    assert any(defines(path, name) for path in (ROOT / "tests").rglob("test_*.py"))
