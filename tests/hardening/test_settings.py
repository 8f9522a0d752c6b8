"""A missing or weak setting stops the start with one line that names it (HARDENING I1)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import config
from tests.servers import ROOT

GOOD = {"SECRET_KEY": "0123456789abcdef-0123456789abcdef", "DATA_DIR": "/nonexistent"}
PRODUCTION = GOOD | {"APP_ENV": "production", "TRUSTED_HOSTS": "blog.example.org"}
NO_SECRETS = {
    "missing": "",
    "short": "0123456789abcdefghijklmnopqrstu",
    "one letter": "a" * 64,
    "of a file that we ship": "replace-this-with-32-random-bytes-or-more",
    "the same in capitals": "REPLACE-THIS-WITH-32-RANDOM-BYTES-OR-MORE",
    "a public key": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "a JSON web key": '{"kty": "oct", "k": "0123456789abcdef0123456789abcdef"}',
    "no text": "0123456789abcdef-0123456789abcdef\udcff",
}


def fault(environ: dict[str, str]) -> str:
    """What the start says."""
    with pytest.raises(config.ConfigError) as caught:
        config.load(environ)
    return str(caught.value)


@pytest.mark.parametrize("what", NO_SECRETS)
@pytest.mark.parametrize("env", ["development", "production"])
def test_i1_a_weak_secret_stops_the_start(what, env):
    said = fault(PRODUCTION | {"APP_ENV": env, "SECRET_KEY": NO_SECRETS[what]})
    assert said.startswith("SECRET_KEY: ")
    assert "\n" not in said
    assert not NO_SECRETS[what] or NO_SECRETS[what] not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_HOSTS", ""),
        ("BCRYPT_LOG_ROUNDS", "11"),
        ("FLASK_DEBUG", "1"),
        ("FLASK_DEBUG", "True"),
        ("TESTING", "1"),
    ],
)
def test_i1_production_refuses_what_development_may(name, value):
    assert config.load(PRODUCTION | {"APP_ENV": "development", name: value})
    said = fault(PRODUCTION | {name: value})
    assert said.startswith(f"{name}: ")
    assert "\n" not in said


def test_i1_production_starts_when_all_is_set(tmp_path):
    assert config.load(PRODUCTION)["BCRYPT_LOG_ROUNDS"] == 12
    assert config.load(PRODUCTION | {"FLASK_DEBUG": "0", "TESTING": "false"})["APP_ENV"] == "production"


def test_i1_production_takes_no_secret_from_the_disk(tmp_path):
    """`make run` keeps one there: it would go with the disk, and all sessions with it."""
    (tmp_path / "secret").write_text(GOOD["SECRET_KEY"])
    on_disk = PRODUCTION | {"SECRET_KEY": "", "DATA_DIR": str(tmp_path)}
    assert fault(on_disk).startswith("SECRET_KEY: ")
    assert config.load(on_disk | {"APP_ENV": "development"})["SECRET_KEY"] == GOOD["SECRET_KEY"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_ENV", "prod"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("STREAM_PORT", "0"),
        ("STREAMS_PER_USER", "0"),
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("THREADS", "-1"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "broadsheet.db"),
        ("REDIS_URL", "http://localhost"),
        ("BROKER_URL", "localhost:6379"),
        ("TRUSTED_HOSTS", " , "),
        ("TRUSTED_HOSTS", "*"),
        ("TRUSTED_HOSTS", "localhost, https://blog.example.org"),
        ("TRUSTED_HOSTS", "blog.example.org:443"),
        ("TRUSTED_HOSTS", "[::1]"),
        ("CORS_ORIGINS", "app.example.org"),
        ("CORS_ORIGINS", "*.example.org"),
        ("CORS_ORIGINS", "https://app.example.org/"),
        ("TRUSTED_PROXIES", "11"),
        ("MAX_BODY_BYTES", "1MB"),
        ("WRITES_PER_MINUTE", "0"),
        ("SMTP_URL", "mail.example.org"),
        ("MAIL_FROM", "nobody"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("V1_TOKEN_HOURS", "0"),
        ("CACHE_TYPE", "simple"),
        ("CACHE_TYPE", "redis"),
    ],
)
def test_i1_a_wrong_setting_is_named(name, value):
    said = fault(GOOD | {name: value})
    assert said.startswith(f"{name}: ")
    assert "\n" not in said


@pytest.mark.parametrize(("old", "new"), [("simple", "SimpleCache"), ("redis", "RedisCache")])
def test_the_cache_types_of_old_tutorials_are_answered_with_the_new_names(old, new):
    said = fault(GOOD | {"CACHE_TYPE": old})
    assert "SimpleCache" in said
    assert "RedisCache" in said
    assert f"here {new}" in said


def test_trusted_hosts_compare_without_case():
    assert config.load(GOOD | {"TRUSTED_HOSTS": "Blog.Example.org, .EXAMPLE.net"})["TRUSTED_HOSTS"] == [
        "blog.example.org",
        ".example.net",
    ]


@pytest.mark.parametrize("command", [["run.py"], ["-c", "import run"]], ids=" ".join)
def test_i1_the_process_ends_with_one_line(command, tmp_path):
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "new")} | {"APP_ENV": "production"}
    environ |= {"SECRET_KEY": "short", "TRUSTED_HOSTS": "blog.example.org"}
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90
    )
    assert ended.returncode != 0
    assert re.fullmatch(r"SECRET_KEY: [^\n]+\n", ended.stderr)
    assert ended.stdout == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("path", "made"), [("docs/settings.md", config.as_markdown), (".env.example", config.as_env_example)]
)
def test_the_settings_pages_are_what_the_table_says(path, made):
    """`python config.py docs > docs/settings.md`, `python config.py env > .env.example`."""
    assert (ROOT / path).read_text() == made()


def test_the_example_environment_is_read_as_all_defaults(tmp_path):
    from dotenv import dotenv_values

    lines = [line.removeprefix("# ") for line in Path(ROOT / ".env.example").read_text().splitlines()]
    (tmp_path / ".env").write_text("\n".join(line for line in lines if re.match("[A-Z0-9_]+=", line)))
    given = {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}
    assert set(given) == {setting.name for setting in config.SETTINGS}
    assert config.load(given | {"SECRET_KEY": GOOD["SECRET_KEY"]}) == config.load({"SECRET_KEY": GOOD["SECRET_KEY"]})
