"""`python run.py`: see that all is right, then become supervisord.

Whatever is wrong is a `ConfigError`: one line that names the setting.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import config
from config import ROOT, ConfigError
from processes.speech import say
from processes.table import as_supervisord_conf, table

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here: what to show for it


def start() -> None:
    """Start everything on this machine. It does not return: supervisord takes over this very process.

    :raises ConfigError: when something stands in the way; then nothing has been started.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C before supervisord listens: no traceback
    os.umask(0o077)
    os.chdir(ROOT)
    values = _settings()
    address = _free_address(values["HOST"], values["PORT"])
    _free_address(values["HOST"], values["STREAM_PORT"], "STREAM_PORT")
    conf = as_supervisord_conf(table(values | {"HOST": address}))
    run = Path(values["DATA_DIR"], "run")
    (run / "supervisord.conf").write_text(conf)
    _announce(address, values["PORT"], values["STREAM_PORT"])
    arguments = ["-n", "-c", str(run / "supervisord.conf"), "-j", str(run / "supervisord.pid")]
    os.execv(sys.executable, [sys.executable, "-m", "processes.supervisord", *arguments])  # noqa: S606


def _settings() -> dict[str, Any]:
    """The settings, with the folders made and, for development, a secret made and kept when none is set."""
    environ = config.environment()
    wanting = not environ.get("SECRET_KEY") and environ.get("APP_ENV") != "production"
    fresh = secrets.token_hex(32)
    values = config.load({**environ, "SECRET_KEY": fresh} if wanting else environ)
    try:
        _take_folders(values)
        if wanting:
            _keep_secret(Path(values["DATA_DIR"]), fresh)
    except OSError as error:
        raise ConfigError(f"DATA_DIR: {error.strerror}: {error.filename}") from None
    return config.load(environ)


def _take_folders(values: dict[str, Any]) -> None:
    """Make the folders and lock DATA_DIR for as long as this process lives, whatever program it has become."""
    data = Path(values["DATA_DIR"])
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(data, os.O_RDONLY)  # the folder itself: no lock file can be left behind
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"DATA_DIR: {data} is in use by a Broadsheet that is running") from None
    os.set_inheritable(lock, True)
    for folder in (data / "run", data / "broker"):
        folder.mkdir(mode=0o700, exist_ok=True)
    for path in (values["EMBEDDED_CACHE"], values["EMBEDDED_BROKER"]):
        if path:
            _take_private_folder(Path(path).parent)


def _take_private_folder(folder: Path) -> None:
    """The folder of the sockets, which may be below /tmp, where somebody else could have put one of that name."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"DATA_DIR: its path is too long, and {folder} is not a folder of ours; set a shorter one")
    folder.chmod(0o700)


def _keep_secret(data: Path, fresh: str) -> None:
    kept, draft = data / "secret", data / "secret.draft"
    if not kept.exists():
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
        draft.rename(kept)


def _free_address(host: str, port: int, name: str = "PORT") -> str:
    """The IP address to listen on, seen to be free.

    granian shares its port with whoever listens already (SO_REUSEPORT), and silently: so this asks without.
    """
    try:
        found = min(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # IPv4 first
        with socket.socket(*found[:3]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a port just left counts as taken
            probe.bind(found[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{name}: {port} is taken by another program; set another, as in `{name}={port + 1}`"
            ) from None
        setting = name if error.errno == errno.EACCES else "HOST"
        raise ConfigError(f"{setting}: cannot listen on {host}:{port}: {error.strerror}") from None
    return str(found[4][0])


def _announce(host: str, port: int, stream_port: int) -> None:
    shown = ANY_ADDRESS.get(host, host)
    server = f"http://{f'[{shown}]' if ':' in shown else shown}"
    base = f"{server}:{port}/api"
    say("run", f"Broadsheet's API: {base}")
    say("run", f"its documentation: {base}/docs")
    say("run", f"its live stream: {server}:{stream_port}/api/v2/notifications/stream")
    say("run", "Ctrl-C ends it")
