"""Every setting of Broadsheet: name, type, default and meaning.

This module alone reads the environment and the `.env` beside `run.py`. `docs/settings.md` and `.env.example` are
written from the table below and a test compares them with it (`python config.py docs|env` prints them).
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError
from marshmallow import ValidationError, fields, validate

ROOT = Path(__file__).resolve().parent
UNIX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108 (unix(7)); redis appends to it while it binds
PLACEHOLDERS = {"change-me", "changeme", "secret", "dev", "replace-this-with-32-random-bytes-or-more"}


class ConfigError(Exception):
    """A setting is missing or wrong. Its text is one line that names the setting and says what to set."""


class Strings(fields.List):
    """A comma-separated list."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return list(super()._deserialize(parts, attr, data, **kwargs))


@dataclass(frozen=True)
class Setting:
    """One line of the table. `default` is text, as it would stand in the environment, or None for «none»."""

    name: str
    field: fields.Field[Any]
    default: str | None
    meaning: str


def _whole(low: int, high: int) -> fields.Integer:
    return fields.Integer(validate=validate.Range(low, high))


def _one_of(*choices: str) -> fields.String:
    return fields.String(validate=validate.OneOf(choices))


def _each(pattern: str, error: str) -> Strings:
    return Strings(fields.String(validate=validate.Regexp(rf"(?:{pattern})\Z", error=error)))


def _url(*schemes: str) -> fields.String:
    pattern = rf"^({'|'.join(map(re.escape, schemes))})"
    return fields.String(validate=validate.Regexp(pattern, error=f"must begin with one of: {', '.join(schemes)}"))


REDIS = ("redis://", "rediss://", "unix://")
BROKERS = ("redis://", "rediss://", "redis+socket://", "sentinel://", "amqp://", "amqps://")
DATABASES = ("sqlite:///", "postgresql://", "postgres://", "postgresql+psycopg://")

SETTINGS = (
    Setting("APP_ENV", _one_of("development", "production"), "development", "`production` refuses weak settings"),
    Setting("SECRET_KEY", fields.String(), None, "signs tokens, 32 bytes or more; `make run` makes one when unset"),
    Setting("DATA_DIR", fields.String(), "var", "what is kept on disk; relative to `run.py`"),
    Setting("HOST", fields.String(), "127.0.0.1", "the address to listen on"),
    Setting("PORT", _whole(1, 65535), "5000", "the TCP port to listen on"),
    Setting(
        "STREAM_PORT", _whole(1, 65535), None, "the TCP port of the inbox's live stream; unset: the one after `PORT`"
    ),
    Setting("STREAMS_PER_USER", _whole(1, 1000), "5", "live streams of one user at a time, in each stream process"),
    Setting("WORKERS", _whole(1, 256), "2", "web server processes"),
    Setting("THREADS", _whole(1, 256), "8", "threads of each web server process"),
    Setting("DATABASE_URL", _url(*DATABASES), None, "SQLite or PostgreSQL; unset: SQLite in `DATA_DIR`"),
    Setting("REDIS_URL", _url(*REDIS), None, "the Redis of the cache; unset: one of our own"),
    Setting("BROKER_URL", _url(*BROKERS), None, "Celery's broker; unset: a second Redis of our own"),
    Setting(
        "BROKER_SENTINEL_MASTER", fields.String(), "mymaster", "the master's name, where `BROKER_URL` names sentinels"
    ),
    Setting("CACHE_TYPE", fields.String(), "app.caching.far.FarCache", "Flask-Caching's backend for the far cache"),
    Setting("CACHE_REDIS_URL", _url(*REDIS), None, "the far cache's Redis; unset: `REDIS_URL`"),
    Setting(
        "CACHE_DEFAULT_TIMEOUT", _whole(1, 31_536_000), "300", "seconds that an entry is kept, unless its route says"
    ),
    Setting("CACHE_KEY_PREFIX", fields.String(), "broadsheet:", "what each key in the cache's Redis begins with"),
    Setting(
        "CACHE_THRESHOLD", _whole(1, 10_000_000), "10000", "entries at most, near (each process) and in SimpleCache"
    ),
    Setting("CACHE_NEAR_BYTES", _whole(0, 2**40), "67108864", "bytes at most in the near cache of each process"),
    Setting("CACHE_OBSERVE", _whole(0, 10**9), "1000", "one hit in so many is computed anew and compared; 0: none"),
    Setting(
        "CACHE_MODE",
        _one_of("direct", "leased"),
        "direct",
        "hits ask the database what is current, or (PostgreSQL) a page in `DATA_DIR`",
    ),
    Setting(
        "CACHE_HOSTS",
        _one_of("one", "many"),
        "many",
        "leased: machines that share the database; `many`: each write waits 42 ms",
    ),
    Setting("V1_TOKEN_HOURS", _whole(1, 8760), "24", "how long a v1 token lives"),
    Setting("ACCESS_TOKEN_MINUTES", _whole(1, 1440), "15", "how long a v2 access token lives"),
    Setting("REFRESH_TOKEN_DAYS", _whole(1, 365), "30", "how long a refresh token lives that nobody uses"),
    Setting("SESSION_DAYS", _whole(1, 3650), "90", "after this a login ends, however often it was refreshed"),
    Setting("BCRYPT_LOG_ROUNDS", _whole(4, 20), "12", "cost of a password hash; production refuses less than 12"),
    Setting(
        "TRUSTED_HOSTS",
        _each(r"\.?[\w-][\w.-]*", "must be host names, without scheme, port or `*`"),
        "localhost,127.0.0.1",
        "hosts answered for; `.name` is a domain",
    ),
    Setting("TRUSTED_PROXIES", _whole(0, 10), "0", "proxies in front that set X-Forwarded-For"),
    Setting(
        "CORS_ORIGINS",
        _each(r"\*|https?://[^/\s]+", "must be `*` or origins such as https://app.example.org, without a path"),
        "",
        "origins of frontends, or `*`",
    ),
    Setting("MAX_BODY_BYTES", _whole(1024, 2**30), "1048576", "bytes at most in a request's body"),
    Setting(
        "WRITES_PER_MINUTE", _whole(1, 10**6), "300", "writes a minute of one user or, without a token, one address"
    ),
    Setting(
        "SMTP_URL",
        _url("smtp://", "smtps://"),
        None,
        "`smtp://user:password@host:587?starttls=1`; unset: files in `DATA_DIR/mail`",
    ),
    Setting("MAIL_FROM", fields.Email(), "broadsheet@localhost.localdomain", "the sender of mail"),
    Setting(
        "WEBHOOK_ALLOW_PRIVATE", fields.Boolean(), "false", "webhooks may call addresses inside; for development alone"
    ),
    Setting(
        "PUBLIC_URL",
        fields.String(validate=validate.Regexp(r"https?://[!-~]+\Z", error="must be such as https://blog.example.org")),
        None,
        "where people reach this, as `https://blog.example.org`; unset: no mail has a link to unsubscribe",
    ),
    Setting("METRICS_DIR", fields.String(), None, "where web processes count, on one machine; unset: in `DATA_DIR`"),
    Setting(
        "METRICS_TOKEN",
        fields.String(validate=validate.Length(16)),
        None,
        "what `/metrics` wants as bearer token; unset: shown to this machine alone",
    ),
    Setting("LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "the least level that is logged"),
    Setting("LOG_FORMAT", _one_of("text", "json"), "text", "one line for a person, or one JSON object, for each event"),
)


def environment() -> dict[str, str]:
    """The variables to read settings from: the process's environment over the `.env` beside `run.py`.

    What is not set may stand in a file that `<NAME>_FILE` names, as containers are given their secrets.

    :raises ConfigError: such a file cannot be read.
    """
    environ = {k: v for k, v in dotenv_values(ROOT / ".env").items() if v is not None} | dict(os.environ)
    return environ | {
        setting.name: _kept_in_file(setting.name, path)
        for setting in SETTINGS
        if not environ.get(setting.name) and (path := environ.get(f"{setting.name}_FILE"))
    }


def _kept_in_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"{name}_FILE: {reason}: {path}") from None


def load(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read and check every setting.

    :param environ: the variables to read; by default the process's environment over the `.env` beside `run.py`.
    :return: setting name -> typed value, together with what is derived (`SQLALCHEMY_DATABASE_URI`, `EMBEDDED_CACHE` …).
    :raises ConfigError: on the first setting that is missing or wrong.
    """
    environ = environment() if environ is None else environ
    values = {setting.name: _read(setting, environ) for setting in SETTINGS}
    values["CACHE_TYPE"] = _cache_backend(values["CACHE_TYPE"])
    values["TRUSTED_HOSTS"] = [host.lower() for host in values["TRUSTED_HOSTS"]]
    if not values["TRUSTED_HOSTS"]:
        raise ConfigError("TRUSTED_HOSTS: set the host names that are answered for, separated by commas")
    data = values["DATA_DIR"] = str((ROOT / values["DATA_DIR"]).resolve())
    values["SECRET_KEY"] = values["SECRET_KEY"] or _kept_secret(Path(data), values["APP_ENV"])
    _check_secret(values["SECRET_KEY"])
    if values["APP_ENV"] == "production":
        _check_production(values, environ)
    values |= _derived(values)
    if values["STREAM_PORT"] == values["PORT"]:  # two servers would share it, silently
        raise ConfigError("STREAM_PORT: must be another than PORT")
    if values["CACHE_MODE"] == "leased":
        if values["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
            raise ConfigError("CACHE_MODE: leased is for PostgreSQL; with SQLite set direct")
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):  # others reorder what is read from memory
            raise ConfigError("CACHE_MODE: leased is for Linux on x86-64; elsewhere set direct")
    return values


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.name) or setting.default
    if text is None:
        return None
    try:
        return setting.field.deserialize(text)
    except ValidationError as error:
        reason = next(iter(error.normalized_messages().values()))
        while not isinstance(reason, str):
            reason = next(iter(reason.values() if isinstance(reason, dict) else reason))
        raise ConfigError(f"{setting.name}: {reason} ({setting.meaning})") from None


def _cache_backend(name: str) -> str:
    """Flask-Caching's name of a backend; its Redis is ours, that neither pickles nor fails when Redis is away."""
    if new := {"simple": "SimpleCache", "redis": "RedisCache"}.get(name):
        raise ConfigError(
            f"CACHE_TYPE: Flask-Caching no longer knows «{name}»: set SimpleCache or RedisCache (here {new})"
        )
    return "app.caching.far.FarCache" if name == "RedisCache" else name


def _kept_secret(data: Path, env: str) -> str | None:
    """The secret that `make run` wrote on its first start; production wants one that is not lost with a disk."""
    kept = data / "secret"
    return kept.read_text().strip() if env == "development" and kept.exists() else None


def _check_secret(secret: str | None) -> None:
    if not secret:
        raise ConfigError(
            "SECRET_KEY: set it to 32 random bytes or more (`python -c 'import secrets; print(secrets.token_hex(32))'`)"
        )
    size = len(secret.encode(errors="surrogateescape"))
    if size < 32 or secret.lower() in PLACEHOLDERS or len(set(secret)) < 8:
        raise ConfigError("SECRET_KEY: too weak; set it to 32 random bytes or more (RFC 8725 §3.5)")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except (InvalidKeyError, UnicodeError):
        raise ConfigError("SECRET_KEY: set it to random text in UTF-8; a key pair or a certificate is none") from None


def _check_production(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    if not environ.get("TRUSTED_HOSTS"):
        raise ConfigError("TRUSTED_HOSTS: in production set the host names that are answered for")
    if values["BCRYPT_LOG_ROUNDS"] < 12:
        raise ConfigError("BCRYPT_LOG_ROUNDS: production wants 12 or more")
    for name in ("FLASK_DEBUG", "TESTING"):
        if environ.get(name, "").lower() not in ("", "0", "false"):
            raise ConfigError(f"{name}: must not be set in production")


def _derived(values: dict[str, Any]) -> dict[str, Any]:
    data = Path(values["DATA_DIR"])
    sockets = _socket_dir(data)
    redis_url = values["REDIS_URL"] or f"unix://{sockets}/cache.sock"
    broker = values["BROKER_URL"] or f"redis+socket://{sockets}/broker.sock"
    database = values["DATABASE_URL"] or f"sqlite:///{data}/broadsheet.db"
    return {
        "EMBEDDED_CACHE": None if values["REDIS_URL"] else f"{sockets}/cache.sock",
        "EMBEDDED_BROKER": None if values["BROKER_URL"] else f"{sockets}/broker.sock",
        "REDIS_URL": redis_url,
        "BROKER_URL": broker,
        "CACHE_REDIS_URL": values["CACHE_REDIS_URL"] or redis_url,
        "STREAM_PORT": values["STREAM_PORT"] or values["PORT"] % 65535 + 1,
        "METRICS_DIR": values["METRICS_DIR"] or f"{data}/metrics",
        "SQLALCHEMY_DATABASE_URI": re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", database),
        "ACCESS_TOKEN_LIFETIMES": {
            "v1": timedelta(hours=values["V1_TOKEN_HOURS"]),
            "v2": timedelta(minutes=values["ACCESS_TOKEN_MINUTES"]),
        },
        "BCRYPT_HANDLE_LONG_PASSWORDS": True,  # from the first day and never changed: hashes depend on it
        "RESTX_MASK_SWAGGER": False,
        "RESTX_INCLUDE_ALL_MODELS": True,  # nested schemas dangle otherwise
        "RESTX_ERROR_404_HELP": False,
        "ERROR_INCLUDE_MESSAGE": False,
    }


def _socket_dir(data: Path) -> Path:
    """Where embedded servers have their sockets: in DATA_DIR, or in a temporary folder if that path is too long."""
    inside = data / "run"
    if len(str(inside / "supervisor.sock").encode()) < UNIX_SOCKET_PATH_BYTES:
        return inside
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"broadsheet-{os.getuid()}-{digest}"


def as_markdown() -> str:
    """The table as `docs/settings.md` shows it."""
    rows = [f"| `{s.name}` | {f'`{s.default}`' if s.default else '–'} | {s.meaning} |" for s in SETTINGS]
    says = "Any of them may stand in a file that `<NAME>_FILE` names (`SECRET_KEY_FILE=/run/secrets/secret_key`)."
    return "\n".join(["# Settings", "", says, "", "| name | default | meaning |", "|---|---|---|", *rows, ""])


def as_env_example() -> str:
    """The table as `.env.example` shows it: every setting, commented out."""
    return "\n".join(f"# {s.meaning}\n# {s.name}={s.default or ''}\n" for s in SETTINGS)


if __name__ == "__main__":
    print({"docs": as_markdown, "env": as_env_example}[sys.argv[1]](), end="")
