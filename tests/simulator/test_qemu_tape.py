"""What a console said, and when; a QEMU that is gone is told with its last words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from simulator.qemu.tape import BoardError, Tape


def heard(tape: Tape) -> tuple[asyncio.StreamReader, asyncio.Task[None]]:
    stream = asyncio.StreamReader()
    return stream, asyncio.create_task(tape.record(stream))


async def test_each_who_waits_gets_what_came_after_the_last(tmp_path: Path) -> None:
    tape = Tape("console", tmp_path / "console")
    stream, task = heard(tape)
    stream.feed_data(b"U-Boot 2023\r\nboots A\r\nU-Boot 20")
    assert (await tape.until("^U-Boot 20..")).match.start() == 0
    later = asyncio.create_task(tape.until("^U-Boot 20.."))
    await asyncio.sleep(0)
    assert not later.done()
    stream.feed_data(b"23\r\n")
    found = await later
    first, second = tape.all("U-Boot 20..")
    assert (second.match.span(), second.at) == (found.match.span(), found.at)
    assert first.at <= second.at
    stream.feed_eof()
    await task
    assert (tmp_path / "console").read_bytes() == tape.text.encode()


async def test_when_qemu_is_gone_waiting_ends_with_the_reason(tmp_path: Path) -> None:
    tape = Tape("console", tmp_path / "console")
    stream, task = heard(tape)
    waiting = asyncio.create_task(tape.until("login:"))
    stream.feed_data(b"Starting kernel ...\n")
    stream.feed_eof()
    await task
    tape.end("QEMU has ended with status 1: qemu-system-aarch64: no such card")
    with pytest.raises(BoardError, match=r"'login:' was not said: QEMU has ended with status 1: .*no such card") as error:
        await waiting
    assert str(error.value).endswith("Starting kernel ...\n")


async def test_what_is_never_said_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"was not said within 0\.01 s"):
        await Tape("journal", tmp_path / "journal").until("never", 0.01)
