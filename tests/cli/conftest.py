"""The operator's commands, run in our own process."""

from __future__ import annotations

import pytest


@pytest.fixture
def run(app):
    """run("users", "create", …, input=…): what the command has printed; SystemExit's text is its one line of fault."""

    def command(*arguments: str, input: str | bytes | None = None) -> str:
        result = app.test_cli_runner().invoke(args=arguments, input=input)
        if result.exit_code:
            assert isinstance(result.exception, SystemExit), result.exception
            assert result.stdout == ""
            assert "Traceback" not in result.stderr
            raise SystemExit(result.stderr)
        assert result.stderr == ""
        return result.stdout

    return command


@pytest.fixture
def refused(run):
    """refused("users", …): the one line on standard error of a command that must fail."""

    def command(*arguments: str, input: str | bytes | None = None) -> str:
        with pytest.raises(SystemExit) as caught:
            run(*arguments, input=input)
        said = caught.value.code
        assert isinstance(said, str)
        assert said.startswith("Error: ")
        assert said.endswith("\n")
        assert said.count("\n") == 1, said
        return said.removeprefix("Error: ").strip()

    return command
