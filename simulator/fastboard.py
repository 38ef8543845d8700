"""The fast board: a device made of files. Real otad, SWUpdate, fw_setenv and ext4 images; U-Boot is `bootloader.py`.

Rules:
 1. Power on: U-Boot's model decides, its stores go through the real fw_setenv, /run is new, otad starts from nothing.
 2. A cut is SIGKILL for every process of the board, whatever session it is in: none outlives the power.
 3. Like systemd, the board starts an otad that failed again, a few times; like otad-deadline, it then resets a trial.
 4. It writes into its own folder only: SWUpdate runs confined (`confine`), systemd's tools are those of `bin/`.
    A tool in the board's own `bin/` comes before either: so a broken one is tried.

What it cannot show needs a kernel: a watchdog, mounts. That is the QEMU board's work; what a page cache loses, `torture`'s.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from otad.blocking import run
from otad.bootenv import Slot
from otad.journal import Journal
from otad.orders import NEXT
from simulator import processes, system
from simulator.bootloader import RESETS, Stop, power_on
from simulator.envfile import EnvFile
from simulator.settings import HARDWARE, TOOLS, Repository, deadline, otad_toml
from simulator.system import Kernel

STARTS = 6  # of otad in one boot; systemd never gives up (StartLimitIntervalSec=0), a test has to
CLEAN = (0, -signal.SIGTERM)  # exit statuses after which systemd starts nothing again (systemd.service(5), Restart=)
SLOT_SIZE = 2 * system.SIZE
LAST_LINES = 30


class BoardError(Exception):
    """The board came where no device may come; the message ends with the last lines of its console."""


class FastBoard:
    """A device in a folder. `async with FastBoard.create(...) as board`: at the end its power is cut.

    slot    what runs: a slot, Stop.RECOVERY, or None without power
    boots   everything that has run since it was made, in order
    env     the environment where Linux looks for it
    uboot   the environment that U-Boot reads: the same, unless it is replaced
    otad    how otad is started, its settings left out
    starts  of otad that fail in one boot, after which it has failed for good
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder = folder.absolute()
        self.slots = {slot: folder / f"slot-{slot.value.lower()}" for slot in Slot}
        self.env = self.uboot = EnvFile(folder)
        self.slot: Slot | Stop | None = None
        self.boots: list[Slot | Stop] = []
        self.otad: tuple[str, ...] = (sys.executable, "-m", "otad")
        self.starts = STARTS
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None

    @classmethod
    def create(cls, folder: Path, factory: Path, repository: Repository) -> FastBoard:
        """A new board with the image `factory` in slot A and nothing in slot B, as it leaves the factory. `folder` may be there.

        A short `folder`, please: SWUpdate's socket lies 28 bytes below it, and a socket's path has 107.
        """
        for made in (folder / "data" / "otad", folder / "data" / "updates"):
            made.mkdir(parents=True)
        board = cls(folder)
        shutil.copyfile(factory, board.slots[Slot.A])
        board.slots[Slot.B].touch()
        for slot in board.slots.values():
            os.truncate(slot, SLOT_SIZE)
        EnvFile.create(folder)
        (folder / "hwrevision").write_text(f"{HARDWARE}\n")
        (folder / "otad.toml").write_text(otad_toml(folder, repository))
        (folder / "deadline").write_text(deadline(folder))
        return board

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        life = self._life
        await self.cut()
        if kind is None and life and not life.cancelled():
            life.result()  # what nobody waited for must not pass unseen

    def configure(self, name: str, toml: str) -> None:
        """Put settings into `conf.d/<name>.toml`, for the next start of otad."""
        file = self.folder / "conf.d" / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(toml)

    async def power_on(self) -> Slot | Stop:
        """Boot, through as many resets as it takes, and start otad; what runs then. Raises BoardError when nothing ever does."""
        if self.slot is not None:
            raise BoardError("the power is on already")
        booted = await self._boot()
        await self.wake()
        return booted

    async def wake(self) -> None:
        """Start otad in this boot, as its socket or its timer does; nothing while it runs, on a reboot, or in recovery."""
        if isinstance(self.slot, Slot) and (self._life is None or self._life.done()):
            self.look()
            await self._start()
            self._life = asyncio.create_task(self._live())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to otad, as systemd or the kernel does. Raises BoardError while it sleeps."""
        if self._process is None:
            raise BoardError("otad sleeps")
        self._process.send_signal(number)

    def pass_hours(self) -> None:
        """As if hours had passed: the next check is due, and what failed may be tried again. While otad sleeps."""
        with closing(Journal.open(self.folder / "data" / "otad" / "journal.db")) as journal:
            journal.settings.put_time(NEXT, None)
            for tries in reversed(journal.attempts.all()):
                journal.attempts.save(replace(tries, next_try=None))

    async def settled(self, timeout: float = 60) -> Slot | Stop | None:
        """Wait until otad sleeps, through any number of reboots; what runs then.

        Raises BoardError when otad fails for good, or when it takes more than `timeout` seconds.
        """
        if life := self._life:
            await asyncio.wait({life}, timeout=timeout)
            if not life.done():
                raise BoardError(f"not settled within {timeout:g} s{self._console()}")
            self._life = None
            life.result()
        return self.slot

    def look(self) -> None:
        """Raises BoardError when otad has failed for good."""
        if self._life and self._life.done():
            self._life.result()

    async def cut(self) -> None:
        """Cut the power, now."""
        if self._life:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._silence()
        self._life = self.slot = None

    @property
    def release(self) -> bytes:
        """The release.json of what runs."""
        return (self.folder / "run" / "release.json").read_bytes()

    async def _boot(self) -> Slot | Stop:
        await self._silence()
        self.slot = await run(self._firmware)
        self.boots.append(self.slot)
        return self.slot

    def _firmware(self) -> Slot | Stop:
        """U-Boot and the kernel until user space. A kernel that panics resets the board."""
        for _ in range(RESETS):
            boot = power_on(self.uboot.load(), lambda slot: system.kernel(self.slots[slot]) is not Kernel.MISSING, recovery=True)
            for store in boot.stores:
                self.uboot.save(store)
            if boot.end is Stop.RECOVERY:
                return boot.end
            if isinstance(boot.end, Slot) and system.kernel(self.slots[boot.end]) is Kernel.BOOTS:
                self._kernel(boot.end)
                return boot.end
        raise BoardError(f"nothing boots after {RESETS} resets: {self.uboot.load()}")

    def _kernel(self, slot: Slot) -> None:
        """What a kernel that was started from `slot` shows, and an empty /run."""
        root, tmpfs = self.slots[slot], self.folder / "run"
        (self.folder / "cmdline").write_text(f"root={root} rootwait panic=5 otad.slot={slot.value}\n")
        (self.folder / "mountinfo").write_text(f"21 1 0:0 / / ro,relatime - ext4 {root} ro\n")
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        shutil.rmtree(tmpfs, ignore_errors=True)
        tmpfs.mkdir()
        (tmpfs / "root").symlink_to(root)
        (tmpfs / "release.json").write_bytes(system.read(root, system.IDENTITY))

    async def _start(self) -> None:
        environment = {
            **processes.marked(self.folder),
            "OTAD_FW_ENV": str(self.env.config),
            "PATH": f"{self.folder / 'bin'}:{TOOLS}:{os.environ.get('PATH', os.defpath)}",
        }
        with (self.folder / "console").open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *self.otad,
                "--config",
                str(self.folder / "otad.toml"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=environment,
                start_new_session=True,
            )

    async def _live(self) -> None:
        """From a start of otad until it sleeps."""
        failed = 0
        while self._process:
            status = await self._process.wait()
            processes.kill(self.folder)  # systemd's KillMode: nothing of the unit outlives its main process
            clean = status in CLEAN
            failed += not clean
            if (self.folder / "run" / "reset").exists() or (failed >= self.starts and self._on_trial()):
                failed = 0
                if not isinstance(await self._boot(), Slot):
                    return
            elif clean:
                self._process = None
                return
            elif failed >= self.starts:
                raise BoardError(f"otad failed {failed} times in one boot, last with status {status}{self._console()}")
            await self._start()

    def _on_trial(self) -> bool:
        return self.env.load().upgrade_available == "1"

    async def _silence(self) -> None:
        """No process of the board is left."""
        processes.kill(self.folder)
        if self._process:
            await self._process.wait()
        self._process = None

    def _console(self) -> str:
        lines = (self.folder / "console").read_text(errors="replace").splitlines()
        return "\n".join(["", *lines[-LAST_LINES:]])
