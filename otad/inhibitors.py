"""Inhibitors: the site's own commands that may hold a release back (a robot is at work, a door is open)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from otad.config import Command

SECONDS = 30.0  # for one command; one that hangs holds


async def holding(inhibitors: Sequence[Command]) -> list[str]:
    """The commands that do not allow it: a status other than 0, no answer in time, or not to be started."""
    return [" ".join(command) for command in inhibitors if not await _allows(command)]


async def _allows(command: Command) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    except OSError:
        return False
    try:
        return await asyncio.wait_for(process.wait(), SECONDS) == 0
    except asyncio.TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
