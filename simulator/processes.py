"""Every process of a board, found by a mark in its environment, which children inherit through any number of sessions."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "OTAD_BOARD"


def marked(folder: Path) -> dict[str, str]:
    """The environment for a process of the board in `folder`."""
    return {**os.environ, MARK: str(folder)}


def kill(folder: Path) -> None:
    """SIGKILL to every process of the board in `folder`, until there is none."""
    while pids := list(alive(folder)):
        for pid in pids:
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)


def alive(folder: Path) -> Iterator[int]:
    """The process ids of the board in `folder`."""
    mark = f"{MARK}={folder}".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and mark in _environment(process):
            yield int(process.name)


def _environment(process: Path) -> list[bytes]:
    """Its variables; none for one that has ended, or that is somebody else's."""
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return []
