"""The board: QEMU with the real U-Boot and a card. Its console is read all the time, and asked.

Rules:
 1. Cutting the power is SIGKILL for QEMU: what the guest has not written to the card is lost.
 2. QEMU dies with whoever started it: no board outlives its test.
 3. Everything waits for what the console says, never for a time; the limits bound a hang, several times over.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from simulator.qemu.tools import need

PATIENCE = 900.0
"""Seconds that anything may take: a boot takes half a minute on an idle machine."""

LAST = 4000  # characters of the console in a message
HARDWARE = (
    *("-M", "virt", "-cpu", "cortex-a57", "-smp", "2", "-accel", "tcg,thread=multi", "-m", "1024"),
    *("-display", "none", "-device", "sdhci-pci", "-device", "sd-card,drive=card"),
    *("-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="),
    *("-device", "i6300esb", "-action", "watchdog=reset"),
)


class BoardError(Exception):
    """The board did not come to where it had to; the message ends with its console."""


@dataclass(frozen=True)
class Said:
    """What a command in the guest wrote, and its exit status."""

    status: int
    out: str


def command(uboot: Path, card: Path, serial: str = "stdio") -> list[str]:
    """QEMU's command line, with the console at `serial`. It is killed with its parent."""
    need({"qemu-system-aarch64": "qemu-system-arm", "setpriv": "util-linux"})
    drive = f"if=none,id=card,format=qcow2,cache=writethrough,file={card}"
    return [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "qemu-system-aarch64",
        *HARDWARE,
        "-serial",
        serial,
        "-bios",
        str(uboot),
        "-drive",
        drive,
    ]


def overlay(card: Path, base: Path) -> Path:
    """A card that begins as `base` and keeps what is written to it by itself."""
    need({"qemu-img": "qemu-utils"})
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.absolute(), card], check=True)
    return card


class Board:
    """A board with `card` (qcow2) in it. `async with Board(...) as board`: at the end its power is cut.

    console  all that it said, also in `card`.console
    """

    def __init__(self, uboot: Path, card: Path) -> None:
        self._command = command(uboot, card)
        self._log = card.with_suffix(".console")
        self._qemu: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._seen = 0
        self.console = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.cut()

    async def power_on(self) -> None:
        """Start from U-Boot."""
        pipe = asyncio.subprocess.PIPE
        self._qemu = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        self._reader = asyncio.create_task(self._read(self._qemu))

    async def cut(self) -> None:
        """Cut the power, now."""
        if self._qemu and self._qemu.returncode is None:
            self._qemu.kill()
        if self._qemu and self._reader:
            await self._reader
            await self._qemu.wait()
        self._qemu = self._reader = None

    async def until(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Wait for what the console says next. Raises BoardError when it does not, or when QEMU ends."""
        try:
            return await asyncio.wait_for(self._until(re.compile(pattern, re.MULTILINE)), timeout)
        except asyncio.TimeoutError:
            raise BoardError(f"{pattern!r} was not said within {timeout:g} s:\n{self.console[-LAST:]}") from None

    async def run(self, words: str, timeout: float = PATIENCE) -> Said:
        """Run a shell command in the guest, as root."""
        assert self._qemu
        assert self._qemu.stdin
        # the terminal echoes what is typed: the quotes keep the echo from looking like the answer
        self._qemu.stdin.write(f"echo 'be''gin'; {words}; echo 'en''d' $?\n".encode())
        found = await self.until(r"^begin\r?\n(?P<out>(?:.*\n)*?)end (?P<status>\d+)\r?$", timeout)
        return Said(int(found["status"]), found["out"].replace("\r", ""))

    async def _until(self, pattern: re.Pattern[str]) -> re.Match[str]:
        while not (found := pattern.search(self.console, self._seen)):
            if self._reader is None or self._reader.done():
                raise BoardError(f"QEMU has ended:\n{self.console[-LAST:]}")
            self._news.clear()
            await self._news.wait()
        self._seen = found.end()
        return found

    async def _read(self, qemu: asyncio.subprocess.Process) -> None:
        assert qemu.stdout
        with self._log.open("ab", buffering=0) as log:
            while some := await qemu.stdout.read(4096):
                log.write(some)
                self.console += some.decode(errors="replace")
                self._news.set()
        self._news.set()
