"""Waiting for a moment, while a board lives: on its console, on its disk, on the clock.

A disk that cannot be stopped is looked at every few milliseconds: what changes in between counts as one.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path

from simulator.torture.disk import Disk, Lossy
from simulator.torture.plan import Moment

LOOK = 0.003  # seconds between two looks
LOOKS = 8  # changes that are waited for at most: a thousand writes are seen as a few


async def come(moment: Moment, disk: Disk, console: Path, heard: int, *, exact: bool) -> str:
    """Wait for it; what it was. `heard`: bytes of the console that are not news. `exact`: stop a lossy disk before it."""
    if moment.touches and exact and isinstance(disk, Lossy):
        return f"before {await (await disk.trip(moment.touches, moment.nth))}"
    if moment.touches:
        await _touched(disk.point, moment.touches.rpartition(" ")[2], min(moment.nth, LOOKS))
    elif moment.says:
        await _said(console, re.compile(moment.says, re.MULTILINE), heard)
    await asyncio.sleep(moment.wait)
    return str(moment)


async def _said(console: Path, wanted: re.Pattern[str], heard: int) -> None:
    while True:
        with suppress(FileNotFoundError), console.open("rb") as file:
            file.seek(heard)
            if wanted.search(file.read().decode(errors="replace")):
                return
        await asyncio.sleep(LOOK)


async def _touched(folder: Path, pattern: str, times: int) -> None:
    seen = _fingerprint(folder, pattern)
    while times > 0:
        await asyncio.sleep(LOOK)
        now = _fingerprint(folder, pattern)
        times -= now != seen
        seen = now


def _fingerprint(folder: Path, pattern: str) -> dict[Path, tuple[int, int, int]]:
    found = {}
    for file in folder.glob(pattern):
        with suppress(FileNotFoundError):  # it has just gone
            status = file.lstat()
            found[file] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found
