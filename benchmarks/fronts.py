"""nginx and Varnish with the same bytes, where they are installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.servers import Server, accepts, free_port

SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # Debian keeps them where users do not look
NGINX = """
daemon off; pid {folder}/pid; error_log stderr; worker_processes {workers}; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000; default_type application/json;
  open_file_cache max=100;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{backend}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; return (deliver); }}
"""


class Front(Server):
    """A server with a folder of its own."""

    def __init__(self, folder: str, port: int, *command: str) -> None:
        self._folder, self.port = folder, port
        super().__init__(*command, sign="TERM")  # it ends its own children
        self.wait_for(lambda: accepts(port))

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def nginx(body: bytes, backend: int, workers: int) -> Front:
    """The bytes as a file."""
    folder, port = tempfile.mkdtemp(prefix="bs-nginx-"), free_port()
    www = Path(folder, "www", "api", "v1")
    www.mkdir(parents=True)
    (www / "posts").write_bytes(body)
    user = "user root;" if os.geteuid() == 0 else ""
    Path(folder, "conf").write_text(NGINX.format(folder=folder, port=port, workers=workers, user=user))
    return Front(folder, port, _binary("nginx"), "-e", "stderr", "-p", folder, "-c", f"{folder}/conf")


def varnish(body: bytes, backend: int, workers: int) -> Front:
    """In front of the application whose bytes they are, which it asks once."""
    folder, port = tempfile.mkdtemp(prefix="bs-varnish-"), free_port()
    Path(folder, "vcl").write_text(VARNISH.format(backend=backend))
    place = ["-n", f"{folder}/work", "-j", "none", "-s", "malloc,64m"]
    return Front(folder, port, _binary("varnishd"), "-F", *place, "-a", f"127.0.0.1:{port}", "-f", f"{folder}/vcl")


Start = Callable[[bytes, int, int], Front]
FRONTS: dict[str, tuple[str, Start]] = {"nginx": ("nginx", nginx), "Varnish": ("varnishd", varnish)}


def missing(name: str) -> str:
    """What to say when it is not installed; empty if it is."""
    binary = FRONTS[name][0]
    return "" if shutil.which(binary, path=SEARCHED) else f"{name} is not measured: no {binary} on this machine"


def _binary(name: str) -> str:
    found = shutil.which(name, path=SEARCHED)
    assert found is not None
    return found
