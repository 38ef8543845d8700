"""No program is left, whenever the cancellation comes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from otad import children, commands
from otad.payload import process as swupdate
from tests.payload.test_process import gone


async def install(folder: Path, script: str) -> object:
    with swupdate.room(folder, folder / "slot-b") as room:
        return await swupdate.run(("sh", "-c", script), 0, room, 60)


async def check(_folder: Path, script: str) -> object:
    return await commands.run(("sh", "-c", script), 60, 1000)


@pytest.mark.parametrize("run", [install, check])
async def test_one_that_is_cancelled_while_it_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[[Path, str], Awaitable[object]]
) -> None:
    begun, start = asyncio.Event(), asyncio.create_subprocess_exec

    async def slowly(*command: str, **options: object) -> object:
        made = await start(*command, **options)  # type: ignore[arg-type]
        begun.set()
        await asyncio.sleep(0.01)
        return made

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    os.mkfifo(tmp_path / "fifo")
    task = asyncio.ensure_future(run(tmp_path, f"sleep 1000 & echo $! > {tmp_path / 'fifo'}; wait"))
    await begun.wait()
    grandchild = int((tmp_path / "fifo").read_text())  # the loop stands still: nothing of the start has come back
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(grandchild)


async def test_one_that_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        await children.spawn(("/nonexistent/program",))
