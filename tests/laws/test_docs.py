"""What the pages tell people to type is there: commands with their options, make's targets, settings."""

from __future__ import annotations

import re

import click
import pytest

import config
from tests.servers import ROOT

PAGES = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.name != "CHANGELOG.md"]
FLASK = re.compile(r"flask --app run ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)([^`|\n]*)")
MAKE = re.compile(r"`make ([a-z]+)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
SETTING = re.compile(r"`([A-Z][A-Z0-9]+_[A-Z0-9_]+)[=`]")
KNOWN = {setting.name for setting in config.SETTINGS}
WORDS = {name.split("_")[0] for name in KNOWN}  # what begins with another is somebody else's
OURS = {"PUBLIC_V2"}  # a table of tests/laws/test_swagger.py


def _command(app, words):
    """The command of these words, as far as they lead."""
    found: click.Command = app.cli
    for word in words.split():
        if isinstance(found, click.Group):
            child = found.get_command(click.Context(found), word)
            assert child, f"flask --app run {words}"
            found = child
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_flask_command_of_a_page_is_one_of_ours(page, app):
    for words, rest in FLASK.findall(page.read_text()):
        command = _command(app, words)
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<!\w)--[a-z-]+", rest)) <= known, (words, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_make_target_of_a_page_is_one_of_the_makefile(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(page.read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_page_that_is_linked_is_there(page):
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_setting_of_a_page_is_one_of_the_table(page):
    named = {name.removesuffix("_FILE") for name in SETTING.findall(page.read_text()) if name.split("_")[0] in WORDS}
    assert named - OURS <= KNOWN
