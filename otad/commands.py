"""A command that is asked something: bounded in time and in what it may say.

Rules:
 1. Whatever ends `run` (exit, time-out, cancellation), the process's group has been killed when it returns.
 2. A flood is read and dropped; its end is kept.
 3. What a grandchild of another session still holds open is not waited for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from otad.children import environment, kill, spawn

_PIECE = 65536  # bytes; as much as a pipe holds (man 7 pipe)
_DYING_SECONDS = 5.0  # a killed process that hangs in the kernel longer is left to it


@dataclass(frozen=True)
class Ended:
    """How it ended.

    status  exit status; negative: the signal that ended it; None: it was killed after its time-out
    output  the end of what it wrote to stdout and stderr
    """

    status: int | None
    output: str


async def run(command: Sequence[str], timeout: float, keep: int) -> Ended:
    """Run `command` without a shell and without input, for at most `timeout` seconds; `keep` bytes of its output.

    A command that cannot be started has exit status 127, as in a shell.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    output = _Tail(reader, keep)
    try:
        process = await _start(command, writer)
    except OSError as error:
        return Ended(127, f"{command[0]}: {error.strerror}")
    else:
        return Ended(await _wait(process, timeout), output.text())
    finally:
        output.close()


async def _start(command: Sequence[str], writer: int) -> asyncio.subprocess.Process:
    try:
        return await spawn(command, stdin=asyncio.subprocess.DEVNULL, stdout=writer, stderr=writer, env=environment())
    finally:
        os.close(writer)


async def _wait(process: asyncio.subprocess.Process, timeout: float) -> int | None:
    try:
        return await asyncio.wait_for(process.wait(), timeout)
    except asyncio.TimeoutError:
        return None
    finally:
        kill(process)
        if process.returncode is None:
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=_DYING_SECONDS)


class _Tail:
    """Reads the pipe while the loop runs, and keeps the last bytes."""

    def __init__(self, reader: int, keep: int) -> None:
        self._reader = reader
        self._keep = keep
        self._kept = bytearray()
        os.set_blocking(reader, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(reader, self._read)

    def _read(self) -> bool:
        """Take what is there; False when there is nothing more."""
        try:
            piece = os.read(self._reader, _PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self._loop.remove_reader(self._reader)
            return False
        self._kept += piece
        del self._kept[: -self._keep]
        return True

    def text(self) -> str:
        """What was kept, with what the dead process left in the pipe."""
        for _ in range(64):  # pieces: a survivor that goes on writing is not followed
            if not self._read():
                break
        return self._kept.decode(errors="replace").strip()

    def close(self) -> None:
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
