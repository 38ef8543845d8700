"""A real nginx that serves one folder over TLS on a free loopback port.

The listening socket is made here and inherited by nginx (its NGINX variable, as for a binary upgrade): no other process can
take the port, and whoever connects early waits in the kernel's queue, so there is nothing to poll for.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONF = """
{user}
daemon off;
worker_processes 1;
pid {work}/pid;
error_log {work}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log {work}/access.log;
    client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
    uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
        {extra}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A server that runs. `url` is its base without a trailing slash; `work` holds access.log and error.log."""

    url: str
    port: int
    root: Path
    work: Path


def why_not() -> str | None:
    """Why nginx cannot be used here, or None."""
    return None if _binary() else "nginx is not installed"


def _binary() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def serve(root: Path, work: Path, certificate: Path, *, extra: str = "") -> Iterator[Nginx]:
    """Serve `root` until the block ends. `certificate`: PEM with key and certificate; `extra`: more of the server block."""
    binary = _binary()
    if binary is None:
        raise FileNotFoundError("nginx")
    work.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        port = listening.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""  # the worker must be able to read a private temporary folder
        conf = work / "nginx.conf"
        conf.write_text(_CONF.format(user=user, work=work, port=port, certificate=certificate, root=root, extra=extra))
        process = subprocess.Popen(
            [binary, "-p", str(work), "-c", str(conf), "-e", str(work / "error.log")],
            env={"NGINX": f"{listening.fileno()};", "PATH": os.environ.get("PATH", "")},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield Nginx(f"https://localhost:{port}", port, root, work)
    finally:
        process.terminate()
        process.wait(timeout=10)
