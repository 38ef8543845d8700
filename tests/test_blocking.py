from __future__ import annotations

import asyncio
import threading

import pytest

from otad import blocking


async def test_a_result_and_an_error_come_back() -> None:
    assert await blocking.run(int, "7") == 7
    with pytest.raises(ValueError, match="x"):
        await blocking.run(int, "x")


async def test_a_cancelled_caller_outlives_its_thread() -> None:
    stop = threading.Event()
    ended = threading.Event()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        stop.wait()
        ended.set()
        raise blocking.Stopped

    task = asyncio.create_task(blocking.finish(blocking.start(work), stop))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_cancelled_twice_it_still_waits() -> None:
    release = threading.Event()
    ended = threading.Event()
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        release.wait()
        ended.set()

    task = asyncio.create_task(blocking.run(work))
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
