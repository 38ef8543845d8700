"""The disk of a board under torture: what a power cut leaves on it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import Self

EXT4_SIZE = 128 << 20  # bytes
LOOK = 0.05  # seconds between two looks at what the kernel lets go of
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2  # fs/ext4/ext4.h of Linux 6.1


class Disk(Protocol):
    """What torture asks of a disk. `async with`: it is there; `point` is where."""

    point: Path

    async def settle(self) -> None:
        """All that is on it now is durable."""

    async def cut(self, odds: float, seed: int) -> list[str]:
        """Off and on again, while no process uses it; what was lost, for people. What was not synced stays with `odds`."""


class Steady:
    """A folder: what was written stays, as with a kernel that lives on."""

    def __init__(self, point: Path) -> None:
        self.point = point

    async def __aenter__(self) -> Self:
        self.point.mkdir()
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def settle(self) -> None:
        """It is."""

    async def cut(self, odds: float, seed: int) -> list[str]:
        """Nothing is lost."""
        del odds, seed
        return []


class Ext4:
    """A real ext4 on a loop device. A cut is EXT4_IOC_SHUTDOWN: what the kernel had not written back is gone, its journal too.

    Half a minute of an update is more than the kernel waits (5 s to a commit): so it forgets less than it may.
    """

    def __init__(self, point: Path) -> None:
        self.point = point
        self._image = point.with_suffix(".ext4")

    async def __aenter__(self) -> Self:
        self.point.mkdir()
        with self._image.open("wb") as image:
            image.truncate(EXT4_SIZE)
        await _run("mkfs.ext4", "-q", self._image)
        await self._mount()
        return self

    async def __aexit__(self, *_: object) -> None:
        await _run("umount", self.point)

    async def settle(self) -> None:
        """As it left the factory."""
        await _run("sync", "--file-system", self.point)

    async def cut(self, odds: float, seed: int) -> list[str]:
        """Off and on again. What is lost is the kernel's to say, and it does not."""
        del odds, seed
        folder = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(folder)
        await _run("umount", self.point)
        await asyncio.to_thread(_let_go, self._image)
        await self._mount()
        return []

    async def _mount(self) -> None:
        await _run("mount", "-o", "loop", self._image, self.point)


class Lossy:
    """A `server` process that forgets what was not synced. `deaf`: patterns of what it does not sync although it is asked to."""

    def __init__(self, point: Path, deaf: tuple[str, ...] = ()) -> None:
        self.point = point
        self._deaf = deaf
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tripped: asyncio.Future[str]

    async def __aenter__(self) -> Self:
        self.point.mkdir()
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "simulator.torture.server", str(self.point), *self._deaf)
        self._server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
        self._listening = asyncio.create_task(self._listen())
        await self._answer()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        await self._listening
        await self._server.wait()

    async def settle(self) -> None:
        """As it left the factory."""
        await self._ask(do="settle")

    async def trip(self, before: str, nth: int) -> asyncio.Future[str]:
        """Let the power go before the `nth` operation that matches; done then, with its name."""
        self._tripped = asyncio.get_running_loop().create_future()
        await self._ask(do="trip", before=before, nth=nth)
        return self._tripped

    async def cut(self, odds: float, seed: int) -> list[str]:
        """Off and on again."""
        lost: list[str] = (await self._ask(do="cut", odds=odds, seed=seed))["lost"]
        return lost

    async def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        answer = await self._answers.get()
        if "ended" in answer:
            raise OSError(f"the lossy disk at {self.point} ended")
        return answer

    async def _listen(self) -> None:
        assert self._server.stdout
        async for line in self._server.stdout:
            said = json.loads(line)
            if "tripped" not in said:
                self._answers.put_nowait(said)
            elif not self._tripped.done():  # else nobody waits for it any more
                self._tripped.set_result(said["tripped"])
        self._answers.put_nowait({"ended": True})


async def _run(*command: str | Path) -> None:
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


def _let_go(image: Path) -> None:
    """Wait until no loop device is over it: another board's SWUpdate may still have the mount in its own namespace."""
    while subprocess.run(["losetup", "--associated", image], check=True, capture_output=True).stdout:
        time.sleep(LOOK)
