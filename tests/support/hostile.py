"""A web server that does what servers, proxies and links do on a bad day, one dial for each."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Hostile:
    """Serves `data` for every path.

    cut       close the connection after so many bytes of a body
    ranges    False: Range is ignored
    etags     one for each answer; the last one stays
    refusals  (status, headers) of the first answers
    extra     bytes that follow `data`, without a Content-Length; None: an honest length
    endless   goes on for ever after `data`
    headers   of every answer that is not a refusal
    asked     the request headers seen so far
    """

    data: bytes
    cut: int | None = None
    ranges: bool = True
    etags: deque[str] = field(default_factory=lambda: deque(['"one"']))
    refusals: deque[tuple[int, Mapping[str, str]]] = field(default_factory=deque)
    extra: bytes | None = None
    endless: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def begins(self) -> list[int]:
        """Where each request so far asked to begin."""
        return [int(a.get("Range", "bytes=0-")[6:-1]) for a in self.asked]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.headers))
        if self.refusals:
            status, headers = self.refusals.popleft()
            return web.Response(status=status, headers=headers)
        etag = self.etags.popleft() if len(self.etags) > 1 else self.etags[0]
        start = 0
        if self.ranges and "Range" in request.headers and request.headers.get("If-Range", etag) == etag:
            start = self.begins()[-1]
            if start >= len(self.data):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.data)}"})
        return await self._send(request, start, {"ETag": etag, **self.headers})

    async def _send(self, request: web.Request, start: int, headers: dict[str, str]) -> web.StreamResponse:
        body = self.data[start:]
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        if self.extra is None and not self.endless:
            response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: self.cut])
        if self.cut is not None and self.cut < len(body):
            assert request.transport is not None
            request.transport.close()
            return response
        if self.extra:
            await response.write(self.extra)
        while self.endless:
            await response.write(bytes(2**16))
        return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hostile]:
        """Serve on a free loopback port, told in `url`."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
