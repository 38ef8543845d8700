"""A mirror of a published folder: a copy that can be harmed and healed, on an HTTPS server that can be told to misbehave."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from otad.publisher import serve, tls
from simulator.depot import Depot, now
from simulator.settings import Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PIECE = 65536  # bytes
Refusal = Callable[[web.Request], web.StreamResponse | None]


class Mirror:
    """What devices see.

    refuse  may answer a request in the files' place
    cut     bytes of a blob after which the connection breaks; 0: it does not
    pace    seconds between two pieces of a blob, 64 KiB each
    asked   the requests so far, as "path" or "path from-byte"
    """

    def __init__(self, depot: Depot, folder: Path) -> None:
        self.out = folder / "public"
        self.refuse: Refusal | None = None
        self.cut = 0
        self.pace = 0.0
        self.asked: list[str] = []
        self._depot = depot
        self._opened = asyncio.Event()
        self._opened.set()
        shutil.copytree(depot.out, self.out)

    def harm(self, pattern: str, change: Callable[[bytes], bytes]) -> list[str]:
        """Change every file that `pattern` matches; their names."""
        files = sorted(self.out.glob(pattern))
        for file in files:
            file.write_bytes(change(file.read_bytes()))
        return [file.name for file in files]

    def heal(self) -> None:
        """Everything as it was published."""
        self.refuse, self.cut, self.pace = None, 0, 0.0
        shutil.rmtree(self.out)
        shutil.copytree(self._depot.out, self.out)

    def hold(self) -> None:
        """From now on a blob stops half way, until `let_go`."""
        self._opened.clear()

    def let_go(self) -> None:
        """Blobs come whole again."""
        self._opened.set()

    @asynccontextmanager
    async def served(self, certificate: tls.Certificate | None = None) -> AsyncIterator[Repository]:
        """Serve it on loopback while the context lasts; `certificate`: another one than devices expect."""
        usual = tls.made(self._depot.folder / "tls", now=now())
        shown = certificate or usual
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(shown.cert, shown.key)
        app = serve.make_app(self.out)

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        app.middlewares.append(answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
            yield Repository(url, self._depot.anchor(), self._depot.workspace.signer.authority, usual.ca)
        finally:
            self.let_go()
            await runner.cleanup()

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        start = request.http_range.start
        self.asked.append(f"{request.path} {start}" if start else request.path)
        refusal = self.refuse(request) if self.refuse else None
        if refusal is not None:
            return refusal
        if not request.path.startswith("/blobs/"):
            return await handler(request)
        if self.cut or self.pace:
            return await self._pieces(request, start or 0)
        return await handler(request) if self._opened.is_set() else await self._half(request)

    async def _half(self, request: web.Request) -> web.StreamResponse:
        """A blob whose second half waits until it may."""
        response, data = await self._begun(request, 0)
        await response.write(data[: len(data) // 2])
        await self._opened.wait()
        await response.write(data[len(data) // 2 :])
        return response

    async def _pieces(self, request: web.Request, start: int) -> web.StreamResponse:
        """A blob from `start` on, slowly, or with an end that comes too soon."""
        response, data = await self._begun(request, start)
        for at in range(0, min(len(data), self.cut or len(data)), PIECE):
            await response.write(data[at : at + PIECE])
            await asyncio.sleep(self.pace)
        if self.cut < len(data) and self.cut and request.transport:
            request.transport.close()
        return response

    async def _begun(self, request: web.Request, start: int) -> tuple[web.StreamResponse, bytes]:
        file = self.out / request.path.lstrip("/")
        data, known = file.read_bytes(), file.stat()
        etag = f'"{known.st_mtime_ns:x}-{known.st_size:x}"'  # as aiohttp's own, which gives the rest
        rest = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        headers = {"Content-Length": str(len(data) - start), "ETag": etag, **rest}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        return response, data[start:]
