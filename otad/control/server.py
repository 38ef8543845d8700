"""The local API: HTTP/1.1 and JSON over a unix socket, `/v1/...`, described by `/v1/openapi.json`.

Rules:
 1. It carries and it guards (`peer`, `asked`); what an order means is the desk's business.
 2. An order is answered by a Reply: 200 done or nothing to do, 409 not possible, 400 asked wrongly. `exit` says it exactly.
 3. An order that was taken is carried out although the client leaves.
 4. `clients` counts the requests in hand; the daemon stays awake while there are any.
 5. An event stream is one of a few, and ends when its reader does not read: nobody keeps the daemon awake without a use.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from otad import config
from otad.control import Desk, Exit, Reply, Verb, asked, listener, openapi, peer
from otad.errors import Cause, OtadError

HISTORY = (20, 1000)
"""Attempts that `history` tells by default, and at most."""

KEEPALIVE = 5.0
"""Seconds of silence after which an event stream gets a comment line: a client that left is noticed."""

READS = 30.0
"""Seconds that the reader of an event stream gets to take what it was sent."""

STREAMS = 16
"""Event streams at once, at most."""

LAST_WORDS = 0.1
"""Seconds that a daemon which ends gives a stream for what was stored before (that it reboots now)."""

_STATUS = {Exit.DONE: HTTPStatus.OK, Exit.NOTHING: HTTPStatus.OK, Exit.USAGE: HTTPStatus.BAD_REQUEST}


class Server:
    """Serves `desk` at a path, or on a listening socket's descriptor; `settings` name the groups that may read and change."""

    def __init__(self, desk: Desk, settings: config.Daemon, at: Path | int) -> None:
        self.clients = 0
        self._streams = 0
        self._desk = desk
        self._settings = settings
        self._at = at
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(self._app(), handle_signals=False, access_log=None, shutdown_timeout=1)

    async def start(self) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener.listen(self._at, self._settings.read_group)).start()

    async def stop(self) -> None:
        """End the event streams, let other requests finish for a second, close. systemd's socket stays."""
        self._closing.set()
        await self._runner.cleanup()
        if isinstance(self._at, Path):
            self._at.unlink(missing_ok=True)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=asked.BODY_LIMIT, middlewares=[self._count, asked.in_words, self._guard])
        desk = self._desk
        app.router.add_get("/v1/status", _read(lambda _: desk.status()))
        app.router.add_get("/v1/slots", _read(lambda _: desk.slots()))
        app.router.add_get("/v1/health", _read(lambda _: desk.health()))
        app.router.add_get("/v1/config", _read(lambda _: desk.config()))
        app.router.add_get("/v1/history", _read(lambda r: desk.history(_limit(r))))
        app.router.add_get("/v1/openapi.json", _read(lambda _: openapi.document()))
        app.router.add_get("/v1/events", self._events)
        for verb in Verb:
            app.router.add_post(f"/v1/{verb.value}", self._order(verb))
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: asked.Handler) -> web.StreamResponse:
        self.clients += 1
        try:
            return await handler(request)
        finally:
            self.clients -= 1

    @web.middleware
    async def _guard(self, request: web.Request, handler: asked.Handler) -> web.StreamResponse:
        change = request.method not in {"GET", "HEAD"}
        refusal = peer.refusal(_peer(request), self._settings, os.geteuid(), change=change)
        return asked.refused(HTTPStatus.FORBIDDEN, refusal) if refusal else await handler(request)

    def _order(self, verb: Verb) -> asked.Handler:
        async def order(request: web.Request) -> web.StreamResponse:
            version = await asked.version(request, verb)
            reply = await self._desk.do(verb, _peer(request).user, version)
            return web.json_response(_document(reply), status=_STATUS.get(reply.exit, HTTPStatus.CONFLICT))

        return order

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = asked.whole(request.query.get("after", "0"), "after")
        if "Last-Event-ID" in request.headers:  # how an EventSource goes on after a cut
            after = asked.whole(request.headers["Last-Event-ID"], "Last-Event-ID")
        if self._streams >= STREAMS:
            return asked.refused(HTTPStatus.SERVICE_UNAVAILABLE, _crowded())
        self._streams += 1
        try:
            return await self._follow(request, after)
        finally:
            self._streams -= 1

    async def _follow(self, request: web.Request, after: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        events = self._desk.events(after)
        try:
            await self._stream(events, request, response)
        except OtadError as error:
            with suppress(ConnectionResetError):  # the client left
                await _send(request, response, _frame(asked.document(error.cause), "error"))
        except (StopAsyncIteration, ConnectionResetError):
            pass  # the desk has no more, or the client left: both end the stream
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        return response

    async def _stream(self, events: AsyncIterator[dict[str, Any]], request: web.Request, response: web.StreamResponse) -> None:
        closing: asyncio.Future[Any] = asyncio.ensure_future(self._closing.wait())
        following: asyncio.Future[Any] = asyncio.ensure_future(anext(events))
        try:
            while True:
                await asyncio.wait([following, closing], timeout=KEEPALIVE, return_when=asyncio.FIRST_COMPLETED)
                if closing.done():
                    await asyncio.wait([following], timeout=LAST_WORDS)
                if following.done():
                    event = following.result()
                    await _send(request, response, _frame(event, "" if "seq" in event else "progress"))
                    following = asyncio.ensure_future(anext(events))
                elif closing.done():
                    return
                else:
                    await _send(request, response, b": still here\n\n")
        finally:
            closing.cancel()
            following.cancel()
            await asyncio.wait([following, closing])


async def _send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Raises ConnectionResetError when the client left, or is cut off because it does not read."""
    try:
        await asyncio.wait_for(response.write(data), READS)
    except asyncio.TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()  # or aiohttp waits for it, to say the end
        raise ConnectionResetError("the client does not read") from error


def _crowded() -> Cause:
    return Cause(
        "too-many-streams",
        f"{STREAMS} clients follow otad's events already, and no more are served at once",
        "End one of them (`otactl watch`, or a program that reads /v1/events), then ask again",
    )


def _frame(data: dict[str, Any], kind: str) -> bytes:
    """One server-sent event. Stored events are of no kind and have an id to go on from; "progress" and "error" have none."""
    head = f"event: {kind}\n" if kind else f"id: {data['seq']}\n"
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _peer(request: web.Request) -> peer.Peer:
    assert request.transport is not None  # noqa: S101 - None only after the connection is lost, then aiohttp stopped the handler
    return peer.of(request.transport.get_extra_info("socket"))


def _limit(request: web.Request) -> int:
    default, most = HISTORY
    return min(asked.whole(request.query.get("limit", str(default)), "limit"), most)


def _read(read: Callable[[web.Request], Any]) -> asked.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(read(request))

    return answer


def _document(reply: Reply) -> dict[str, Any]:
    return {"exit": int(reply.exit), "words": reply.words, "remedy": reply.remedy, "data": reply.data}
