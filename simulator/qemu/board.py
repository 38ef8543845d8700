"""The board: QEMU with the real U-Boot and a card. What it says is read all the time, and waited for.

Rules:
 1. Cutting the power is SIGKILL for QEMU: what the guest has not written to the card is lost.
 2. QEMU dies with whoever started it: no board outlives its test.
 3. Everything waits for what the board says, never for a time; the limits bound a hang, several times over.
 4. Seconds are those of this machine: the guest's clock runs with it, and a busy machine makes a slow board.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from simulator.qemu.qmp import Qmp
from simulator.qemu.tape import PATIENCE, BoardError, Said, Tape
from simulator.qemu.tools import mortal, need

HARDWARE = (
    *("-M", "virt", "-cpu", "cortex-a57", "-smp", "2", "-accel", "tcg,thread=multi", "-m", "1024"),
    *("-display", "none", "-device", "sdhci-pci", "-device", "sd-card,drive=card"),
    *("-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=,id=net"),
    *("-device", "i6300esb", "-action", "watchdog=reset"),
)
BANNER = r"^U-Boot 20\d\d"
SHELL = r"bash-5"
ALIVE = ("running", "degraded")  # systemctl(1), is-system-running


@dataclass(frozen=True)
class Ran:
    """What a command in the guest wrote, and its exit status."""

    status: int
    out: str


def command(uboot: Path, card: Path, *more: str) -> list[str | Path]:
    """QEMU's command line. It is killed with its parent."""
    need({"qemu-system-aarch64": "qemu-system-arm"})
    # Each write is in the file when the guest is told so, whatever becomes of QEMU. It need not survive this machine's own end:
    # the card is written in pieces of 512 bytes, and a flush to the disk for each would take hours.
    cache = "cache.writeback=off,cache.no-flush=on"
    drive = f"if=none,id=card,format=qcow2,{cache},file={card}"
    return mortal(["qemu-system-aarch64", *HARDWARE, "-bios", str(uboot), "-drive", drive, *more])


def overlay(card: Path, base: Path) -> Path:
    """A card that begins as `base` (qcow2, or else raw) and keeps what is written to it by itself."""
    need({"qemu-img": "qemu-utils"})
    of = base.suffix.removeprefix(".") if base.suffix == ".qcow2" else "raw"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", of, "-b", base.absolute(), card], check=True)
    return card


def whole(card: Path, to: Path) -> None:
    """`card` as it is now, in a file that needs no other."""
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", card, to], check=True)


class Board:
    """A board with `card` (qcow2) in it. `async with Board(...) as board`: at the end its power is cut.

    card     the card; it may be changed while the power is off (`cardreader`)
    console  all that U-Boot, the kernel and the shell said; also in `card`.console
    journal  all that the system log said, boot by boot; also in `card`.journal
    clock    what the board's clock says when the power comes, as `2026-11-22T10:00:00`; None: the time that it is
    """

    def __init__(self, uboot: Path, card: Path, clock: str | None = None) -> None:
        self._uboot, self.card, self.clock = uboot, card, clock
        self.console = Tape("console", card.with_suffix(".console"))
        self.journal = Tape("journal", card.with_suffix(".journal"))
        self._said = card.with_suffix(".qemu")
        self._qemu: asyncio.subprocess.Process | None = None
        self._qmp: Qmp | None = None
        self._ears: asyncio.Future[tuple[None, None]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.cut()

    async def power_on(self) -> None:
        """Start from U-Boot."""
        assert self._qemu is None, "the power is on already"
        self.console.skip()
        self.journal.skip()
        lines = {name: socket.socketpair() for name in ("console", "journal", "qmp")}
        with ExitStack() as ends, self._said.open("wb") as said:
            theirs = {name: ends.enter_context(pair[1]).fileno() for name, pair in lines.items()}
            self._qemu = await asyncio.create_subprocess_exec(
                *command(self._uboot, self.card, *self._wired(theirs)),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=tuple(theirs.values()),
            )
        ours = {name: await asyncio.open_connection(sock=pair[0]) for name, pair in lines.items()}
        self._qmp = Qmp(*ours["qmp"])
        self._keys = ours["console"][1]
        self._ears = asyncio.gather(
            self._listen(self._qemu, self.console, *ours["console"]), self._listen(self._qemu, self.journal, *ours["journal"])
        )

    async def cut(self) -> None:
        """Cut the power, now."""
        if self._qemu and self._qemu.returncode is None:
            self._qemu.kill()
        if self._ears:
            await self._ears
        if self._qmp:
            self._qmp.close()
        self._qemu = self._ears = self._qmp = None

    async def booted(self) -> str:
        """Wait for the next boot that comes to a shell, and until nothing is being started any more; the slot, or "recovery"."""
        await self.console.until(SHELL)
        state = await self.run("systemctl is-system-running --wait")
        if state.out.strip() not in ALIVE:
            raise BoardError(f"the system is {state.out.strip()}{self.console.last()}")
        return (await self.run("sed 's/.*otad.slot=//; s/ .*//' /proc/cmdline")).out.strip()

    async def run(self, words: str, timeout: float = PATIENCE) -> Ran:
        """Run a shell command in the guest, as root."""
        # the terminal echoes what is typed: the quotes keep the echo from looking like the answer
        self.type(f"echo '[r''un]'; {words}; echo '[r''an' $?]")
        answer = r"\[run\]\r?\n(?P<out>[\s\S]*?)\[ran (?P<status>\d+)\]"
        found = await self.console.until(answer, timeout)
        return Ran(int(found["status"]), found["out"].replace("\r", ""))

    def type(self, words: str) -> None:
        """Type a line at the shell, and wait for nothing."""
        assert self._qemu, "the power is off"
        self._keys.write(f"{words}\n".encode())

    async def until(self, pattern: str, timeout: float = PATIENCE) -> Said:
        """Wait for what the console says next. Raises BoardError when it does not."""
        return await self.console.until(pattern, timeout)

    async def holds(self, condition: str, timeout: float = PATIENCE) -> None:
        """Wait until a shell command in the guest succeeds."""
        await self.run(f"until {condition}; do sleep 1; done", timeout)

    async def ended(self, state: str, outcome: str, timeout: float = PATIENCE) -> Said:
        """Wait until otad tells that one of its states has ended so; what it said of it."""
        return await self.journal.until(rf"otad\[\d+\]: {state}: {outcome}.*\n", timeout)

    async def hang(self) -> float:
        """PID 1 hangs for good: the hardware watchdog is all that is left; when."""
        self.type("kill -SEGV 1")
        return (await self.journal.until("Freezing execution")).at

    async def plug(self, *, network: bool) -> None:
        """Put in or pull out the network cable."""
        assert self._qmp, "the power is off"
        await self._qmp.tell("set_link", name="net", up=network)

    async def reach(self, port: int) -> int:
        """The port of this machine's loopback that leads to the board's TCP `port`."""
        assert self._qmp, "the power is off"
        with socket.create_server(("127.0.0.1", 0)) as free:
            here: int = free.getsockname()[1]
        words = f"hostfwd_add n0 tcp:127.0.0.1:{here}-:{port}"
        await self._qmp.tell("human-monitor-command", **{"command-line": words})
        return here

    def _wired(self, fds: dict[str, int]) -> list[str]:
        clock = ["-rtc", f"base={self.clock}"] if self.clock else []
        lines = [word for name, fd in fds.items() for word in ("-chardev", f"socket,id={name},fd={fd}")]
        second = ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=journal"]
        return [*lines, "-serial", "chardev:console", *second, "-mon", "chardev=qmp,mode=control", *clock]

    async def _listen(
        self, qemu: asyncio.subprocess.Process, tape: Tape, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await tape.record(reader)
        except ConnectionResetError:
            pass  # QEMU was killed while something was on its way to it
        except OSError as error:
            tape.end(f"what it says cannot be kept: {error}")
            raise
        finally:
            writer.close()
        status = await qemu.wait()
        words = self._said.read_text(errors="replace").strip()
        tape.end(f"QEMU has ended with status {status}{': ' + words if words else ''}")
