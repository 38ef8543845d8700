"""A small HTTPS server of a published folder, for trying things. For a fleet: nginx or a CDN, with the same headers.

Rules:
 1. Only `metadata/`, `targets/` and `blobs/` are served; ranges and ETags work.
 2. timestamp.json is never cached, an absence for 60 s at most (the next root may appear), everything else for ever.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from otad.publisher.tls import Certificate

SERVED = ("metadata", "targets", "blobs")
TIMESTAMP = "metadata/timestamp.json"
NEVER, BRIEFLY, FOREVER = "no-cache", "public, max-age=60", "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Bind:
    """Where to listen. Port 0: any that is free."""

    host: str = "127.0.0.1"
    port: int = 0


LOOPBACK = Bind()


def make_app(out: Path) -> web.Application:
    """The server of the published folder `out`."""
    root = out.resolve()

    async def get(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        file = (root / path).resolve()
        inside = file.is_relative_to(root) and file.relative_to(root).parts[:1] in [(folder,) for folder in SERVED]
        if not inside or not file.is_file():
            return web.Response(status=404, text=f"there is no {path}\n", headers={"Cache-Control": BRIEFLY})
        return web.FileResponse(file, headers={"Cache-Control": NEVER if path == TIMESTAMP else FOREVER})

    app = web.Application()
    app.router.add_get("/{path:.*}", get)
    return app


@asynccontextmanager
async def running(out: Path, certificate: Certificate, bind: Bind = LOOPBACK) -> AsyncIterator[str]:
    """Serve `out` while the context lasts; gives the base URL. Raises OSError when the port is taken."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.cert, certificate.key)
    runner = web.AppRunner(make_app(out), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, bind.host, bind.port, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        yield f"https://{f'[{bind.host}]' if ':' in bind.host else bind.host}:{port}/"
    finally:
        await runner.cleanup()
