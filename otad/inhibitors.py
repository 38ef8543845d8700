"""Inhibitors: the site's own commands that may hold a release back (a robot is at work, a door is open)."""

from __future__ import annotations

from collections.abc import Sequence

from otad import outside
from otad.config import Command

SECONDS = 30.0  # for one command; one that hangs holds
_KEPT = 1024  # bytes of what it says, of which only its exit status counts


async def holding(inhibitors: Sequence[Command]) -> list[str]:
    """The commands that do not allow it: a status other than 0, no answer in time, or not to be started."""
    return [" ".join(command) for command in inhibitors if not await _allows(command)]


async def _allows(command: Command) -> bool:
    ended = await outside.run(command, SECONDS, _KEPT)
    return ended.status == 0
