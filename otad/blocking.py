"""Blocking work beside the event loop, without losing sight of it.

Rules:
 1. A thread cannot be stopped, only asked to stop and outlived: when the caller is cancelled, the cancellation goes on only
    after the thread has ended, so that no file is closed, moved or deleted under it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Stopped(Exception):
    """Raised by work that saw its stop event. Nobody catches it: its caller was cancelled."""


def start(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> asyncio.Future[_T]:
    """Begin `function` in a thread. Give what comes back to `finish`, always."""
    return asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *args, **kwargs))


async def finish(job: asyncio.Future[_T], stop: threading.Event | None = None) -> _T:
    """What `job` gives or raises. When cancelled: sets `stop`, waits for the thread to end, then raises CancelledError."""
    try:
        await asyncio.wait({job})
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await outlive(job)
        raise
    return job.result()


async def outlive(job: asyncio.Future[_T]) -> None:
    """Wait until `job`'s thread has ended, cancelled or not; what it gave or raised no longer matters."""
    while not job.done():
        with contextlib.suppress(asyncio.CancelledError):  # the caller has one already
            await asyncio.wait({job})
    job.exception()  # or asyncio complains that nobody looked


async def run(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """`start` and `finish` in one: for work that is short, or has nothing to stop it by."""
    return await finish(start(function, *args, **kwargs))
