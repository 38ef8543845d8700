"""The local API against clients that do not keep to HTTP, or to any limit: it answers or hangs up, and goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from otad.control.listener import NAME
from otad.control.server import Server
from tests.control.fake_desk import FakeDesk
from tests.fuzz.mutate import mutant

SEEDS = (
    b"GET /v1/status HTTP/1.1\r\nHost: otad\r\n\r\n",
    b"GET /v1/events?after=0 HTTP/1.1\r\nHost: otad\r\nLast-Event-ID: 7\r\nConnection: close\r\n\r\n",
    b"GET /v1/history?limit=5 HTTP/1.1\r\nHost: otad\r\nAccept: */*\r\n\r\n",
    b'POST /v1/install HTTP/1.1\r\nHost: otad\r\nContent-Length: 20\r\n\r\n{"version": "1.2.3"}',
    b"POST /v1/pause HTTP/1.1\r\nHost: otad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: otad\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
MUTANTS = 400
WAIT = 60.0  # bounds a hang
MOMENT = 0.02  # for what may be waiting for more


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(at: Path) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_unix_connection(at)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def said(at: Path, request: bytes, patience: float = WAIT) -> bytes:
    """The beginning of what comes back; nothing from a server that hangs up, or waits for more."""
    async with connected(at) as (reader, writer):
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(65536), patience)
        except (ConnectionError, asyncio.TimeoutError):
            return b""


async def well(at: Path, server: Server) -> None:
    """It serves, and thinks that nobody is there any more."""
    assert (await said(at, SEEDS[0])).startswith(b"HTTP/1.1 200 ")
    for _ in range(int(WAIT * 20)):
        if server.clients == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{server.clients} clients are still counted: otad would never sleep")


@pytest.fixture
def at(tmp_path: Path) -> Path:
    return tmp_path / "run" / NAME


@pytest.mark.slow
async def test_mutants_of_requests_are_answered_or_hung_up_on(server: Server, at: Path, desk: FakeDesk) -> None:
    dice = random.Random(20261122)
    for number in range(MUTANTS):
        answer = await said(at, mutant(SEEDS[number % len(SEEDS)], dice), MOMENT)
        assert answer == b"" or answer.startswith(b"HTTP/"), answer
        assert b" 500 " not in answer[:20], (number, answer)
    await well(at, server)
    assert all(version is None or len(version) <= 16 * 1024 for _, _, version in desk.orders)


async def test_a_body_without_end_is_cut_off(server: Server, at: Path, desk: FakeDesk) -> None:
    for head in (b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"):
        async with connected(at) as (reader, writer):
            writer.write(b"POST /v1/check HTTP/1.1\r\nHost: otad\r\n%s\r\n\r\n" % head)
            with suppress(ConnectionError):
                for _ in range(64):  # pieces: 4 MiB
                    writer.write(b"10000\r\n%s\r\n" % bytes(0x10000) if b"chunked" in head else bytes(0x10000))
                    await asyncio.wait_for(writer.drain(), WAIT)
            assert (await asyncio.wait_for(reader.read(65536), WAIT)).startswith(b"HTTP/1.1 413 ")
    assert desk.orders == []
    await well(at, server)


async def test_a_body_that_does_not_come_is_not_waited_for(
    server: Server, at: Path, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otad.control.asked.BODY_SECONDS", 0.2)
    answer = await said(at, b"POST /v1/check HTTP/1.1\r\nHost: otad\r\nContent-Length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"bad-request" in answer
    assert desk.orders == []
    await well(at, server)


async def test_many_connections_that_say_nothing_do_not_matter(server: Server, at: Path) -> None:
    async with AsyncExitStack() as silent:
        for _ in range(200):
            await silent.enter_async_context(connected(at))
        await well(at, server)
    await well(at, server)
