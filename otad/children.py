"""The programs that otad starts: what they inherit, and how none is left.

Rules:
 1. What systemd gave to the daemon (its ear, its watchdog, its sockets) is not for them: SWUpdate would speak to systemd.
 2. Each leads a session of its own, so that whatever it started ends with it.
 3. A cancellation that comes while one is being started ends it: asyncio would end the program, and nobody what it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from otad.blocking import finish, outlive

_OURS = ("NOTIFY_", "WATCHDOG_", "LISTEN_")  # sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)


def environment(**more: str) -> dict[str, str]:
    """The environment of a child, with `more` in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | more


async def spawn(command: Sequence[str], **options: Any) -> asyncio.subprocess.Process:
    """Start `command`; `options` as of `subprocess.Popen`. Whoever gets it ends it with `kill`. Raises OSError."""
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, start_new_session=True, **options))
    try:
        return await finish(starting)
    except asyncio.CancelledError:
        if starting.exception() is None:
            kill(starting.result())
            await outlive(asyncio.ensure_future(starting.result().wait()))
        raise


def kill(process: asyncio.subprocess.Process) -> None:
    """End its group, whoever is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
