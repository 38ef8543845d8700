"""The progress socket: every layout, in pieces of any size, and never in SWUpdate's way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from otad.payload import progress
from otad.payload.progress import ACK, NATIVE, PACKED, Message, Reader


def fields(version: int, percent: int) -> tuple[int | bytes, ...]:
    return (version, 8, 0, 0, 1, 1, percent, b"rootfs.img", b"raw", 0, 0, b"")


def native(version: int) -> bytes:
    return b"".join(NATIVE.pack(*fields(version, percent)) for percent in (10, 20, 30))


STREAMS = {
    "2022.12": native(0),
    "2023.12": native(1 << 16),
    "2024.12": ACK.pack(2 << 16, b"ACK") + native(2 << 16),
    "2025.12": ACK.pack(2 << 16, b"ACK") + b"".join(PACKED.pack(*fields(2 << 16, p)) for p in (10, 20, 30)),
}
EXPECTED = [Message(8, 1, 1, percent, "rootfs.img", "raw") for percent in (10, 20, 30)]


def test_the_sizes_are_those_of_swupdates_header() -> None:
    assert (NATIVE.size, PACKED.size, ACK.size) == (2416, 2408, 8)


@pytest.mark.parametrize("release", STREAMS)
@pytest.mark.parametrize("size", [1, 7, 2408, 2416, 1 << 16])
def test_every_layout_is_told_by_its_bytes(release: str, size: int) -> None:
    data, reader = STREAMS[release], Reader()
    found = [message for at in range(0, len(data), size) for message in reader.feed(data[at : at + size])]
    assert found == EXPECTED


def test_junk_is_no_error() -> None:
    assert all(isinstance(message, Message) for message in Reader().feed(b"\xff" * 100_000))


async def test_it_waits_for_the_socket_and_reads_to_the_end(tmp_path: Path) -> None:
    seen: list[Message] = []
    follower = asyncio.create_task(progress.follow(tmp_path, seen.append))
    await asyncio.sleep(0)  # it has looked once, in vain

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAMS["2022.12"])
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / progress.SOCKET):
        await follower
    assert seen == EXPECTED


async def test_it_is_drained_however_slow_the_listener(tmp_path: Path) -> None:
    """More than any socket buffer holds: a server that could not get rid of it would never come to its end."""
    seen: list[Message] = []

    def slow(message: Message) -> None:
        seen.append(message)
        time.sleep(0.0001)  # a terminal, a lock, a slow client

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(1000):
            writer.write(STREAMS["2022.12"])
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / progress.SOCKET):
        await progress.follow(tmp_path, slow)
    assert len(seen) == 3000


async def test_a_listener_that_fails_is_logged_once_and_swupdate_is_drained_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Message] = []
    drained = asyncio.Event()

    def fails(message: Message) -> None:
        told.append(message)
        raise LookupError("nobody is there")

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(1000):  # more than any socket buffer holds
            writer.write(STREAMS["2022.12"])
            await writer.drain()
        drained.set()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / progress.SOCKET):
        await progress.follow(tmp_path, fails)
        await drained.wait()
    assert len(told) == 1
    assert [record.message for record in caplog.records] == ["progress is not shown any more"]
    assert "nobody is there" in caplog.text


async def test_a_follower_that_is_cancelled_while_it_reads_ends(tmp_path: Path) -> None:
    connected, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAMS["2022.12"])
        await reader.read()  # to its end: the follower hung up
        writer.close()
        left.set()

    async with await asyncio.start_unix_server(serve, tmp_path / progress.SOCKET):
        follower = asyncio.create_task(progress.follow(tmp_path, lambda _message: connected.set()))
        await connected.wait()
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower
        await left.wait()


async def test_a_stale_socket_is_no_error(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda _r, _w: None, tmp_path / progress.SOCKET)
    server.close()
    await server.wait_closed()
    follower = asyncio.create_task(progress.follow(tmp_path, lambda _message: None))
    done, _ = await asyncio.wait({follower}, timeout=0.05)
    assert not done
    follower.cancel()
