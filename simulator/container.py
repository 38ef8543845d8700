"""A board with a real systemd: the slots are block devices with whole root file systems, user space boots in systemd-nspawn.

Rules:
 1. Power on: U-Boot's model decides over the real environment file; the slot's file system is mounted read-only and its own
    systemd is PID 1. `systemctl reboot` ends the container; `follow` then powers on again, as hardware does.
 2. The board's files are block devices only while the power is on, under the names that a board of eMMC has.
 3. A cut is SIGKILL for PID 1 of the container, and with it for all that runs there.
 4. It needs root and writes into its own folder only. /data, and what the site adds in /etc/otad, are folders of it.

What it cannot show: the kernel's part (panics, watchdogs), a page cache that a cut loses, and the device's own network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from otad.bootenv import Slot
from otad.publisher.image import IDENTITY
from simulator import system
from simulator.bootloader import settle
from simulator.envfile import EnvFile
from simulator.settings import Repository, container_toml

NAMES = {Slot.A: "/dev/mmcblk0p2", Slot.B: "/dev/mmcblk0p3", None: "/dev/mmcblk0"}
"""What the device calls its slots, and (None) the card with the environment."""

MOUNTED = 'mount -o ro "$1" "$2" && shift 2 && exec "$@"'
"""In a mount namespace of its own: what this machine starts meanwhile gets no copy, which would keep the loop device."""

REBOOT = 133  # exit status of systemd-nspawn: the container asked for a reboot (systemd-nspawn(1), EXIT STATUS)
MACHINE = "6f746164-0000-4000-8000-000000000001"  # /etc/machine-id of the board, the same at every boot
# The shell waits outside of the device's PIDs. nsenter itself would be stopped for good by a PID 1 that shuts down.
ENTERED = ("--all", "--no-fork", "--", "/bin/sh", "-c", '"$@"; exit $?')
PATIENCE = 120.0
"""Seconds that anything may take. It bounds a hang."""


class BoardError(Exception):
    """The board came where no device may come; the message ends with the last lines of its console."""


class Container:
    """A device in `folder`. `with Container(...) as board`: at the end its power is cut.

    slot   what runs; None without power
    boots  the slots that have booted since it was made, in order
    env    the environment, as U-Boot and Linux see it; without power only
    etc    what is in /etc/otad
    data   what is in /data
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder = folder.absolute()
        self.slots = {slot: folder / f"slot-{slot.value.lower()}" for slot in Slot}
        self.etc, self.data, self.root = folder / "etc", folder / "data", folder / "root"
        self.env = EnvFile(folder)
        self.slot: Slot | None = None
        self.boots: list[Slot] = []
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._loops: dict[Slot | None, str] = {}

    @classmethod
    def create(cls, folder: Path, factory: Path, repository: Repository) -> Container:
        """A new board with the image `factory` in slot A and nothing in slot B."""
        board = cls(folder)
        for made in (board.etc / "conf.d", board.data, board.root):
            made.mkdir(parents=True)
        subprocess.run(["cp", "--sparse=always", factory, board.slots[Slot.A]], check=True)
        board.slots[Slot.B].touch()
        os.truncate(board.slots[Slot.B], factory.stat().st_size)
        EnvFile.create(folder)
        (board.etc / "fw_env.config").write_text(board.env.config.read_text().replace(str(board.env.image), NAMES[None]))
        for name, file in _site(repository).items():
            shutil.copyfile(file, board.etc / name)
        (board.etc / "otad.toml").write_text(container_toml(repository))
        board.deadline(3600)
        return board

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()

    def deadline(self, seconds: float) -> None:
        """For the trials from now on: reboot what is not confirmed in `seconds` (uptime is this machine's)."""
        end = round(time.clock_gettime(time.CLOCK_BOOTTIME) + seconds)
        (self.etc / "deadline").write_text(f"OTAD_DEADLINE={end}\n")
        (self.etc / "conf.d" / "deadline.toml").write_text(f"[health]\ndeadline = {end}\n")

    def power_on(self, *arguments: str) -> Slot:
        """Boot until PID 1 answers; which slot runs then. `arguments`: added to the kernel's command line."""
        if self.slot is not None:
            raise BoardError("the power is on already")
        boot, env = settle(self.env.load(), self._loads)
        self.env.save(env)
        if not isinstance(boot.end, Slot):
            raise BoardError(f"no slot boots: {boot.end}")
        self.slot = boot.end
        self.boots.append(boot.end)
        self._plug()
        cmdline = f"root={NAMES[self.slot]} ro rootwait panic=5 otad.slot={self.slot.value}"
        (self.etc / "cmdline").write_text(" ".join((cmdline, *arguments)) + "\n")
        with (self.folder / "console").open("ab") as console:
            self._nspawn = subprocess.Popen(
                self._command(arguments), stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=_environment()
            )
        self._until(self._up, "PID 1 answers")
        return self.slot

    def run(self, *command: str, check: bool = True) -> str:
        """What a command in the device wrote. Raises BoardError when it fails and `check`."""
        entered = ["nsenter", f"--target={self._leader}", *ENTERED, "sh", *command]
        done = subprocess.run(
            entered, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE, env=_environment()
        )
        if check and done.returncode:
            raise BoardError(f"{' '.join(command)} exited {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, as systemd has them now."""
        lines = self.run("systemctl", "show", f"--property={','.join(properties)}", unit, check=False).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def follow(self, until: Callable[[], object], what: str) -> None:
        """Wait until `until()`, through any number of reboots. Raises BoardError when it does not come."""

        def turn() -> bool:
            if self.off:
                self._unplug()
                self.power_on()
            return bool(until())

        self._until(turn, what)

    def wait(self, until: Callable[[], object], what: str) -> None:
        """Wait until `until()`, in this boot."""
        self._until(until, what)

    @property
    def off(self) -> bool:
        """The device has asked for a reboot, and has no power now. Raises BoardError when it ended otherwise."""
        status = self._nspawn.poll() if self._nspawn else None
        if status not in (None, REBOOT):
            raise BoardError(f"systemd-nspawn exited {status}{self._console()}")
        return status == REBOOT

    def cut(self) -> None:
        """Cut the power, now."""
        if self._nspawn:
            with suppress(ProcessLookupError):
                os.kill(self._leader or self._nspawn.pid, signal.SIGKILL)
            self._nspawn.wait()
        self._unplug()

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _loads(self, slot: Slot) -> bool:
        return bool(system.read(self.slots[slot], IDENTITY))

    def _plug(self) -> None:
        """The block devices."""
        for name, file in ({None: self.env.image} | self.slots).items():
            self._loops[name] = _said("losetup", "--find", "--show", file)

    def _unplug(self) -> None:
        for loop in self._loops.values():
            subprocess.run(["losetup", "--detach", loop], check=True)
        self._loops.clear()
        self.slot = self._nspawn = None
        self._leader = 0

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        devices = [f"--bind={loop}:{NAMES[name]}" for name, loop in self._loops.items()]
        # a machine without systemd has nobody to give the container a scope of its own
        alone = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        return [
            *(
                "unshare",
                "--mount",
                "--propagation=private",
                "/bin/sh",
                "-c",
                MOUNTED,
                "sh",
                self._loops[self.slot],
                str(self.root),
            ),
            *("systemd-nspawn", "--quiet", "--register=no", *alone, "--boot", "--console=read-only", "--read-only"),
            *(f"--directory={self.root}", f"--machine=otad-{os.getpid()}", f"--uuid={MACHINE}", "--link-journal=no"),
            "--system-call-filter=adjtimex clock_adjtime",  # reading it is not allowed in a container, but on a device
            *("--resolv-conf=off", "--timezone=off", "--tmpfs=/var:mode=755", f"--bind={self.data}:/data"),
            *(f"--bind-ro={self.etc}:/etc/otad", "--bind-ro=/etc/otad/cmdline:/proc/cmdline", *devices),
            *("--", *arguments),
        ]

    def _up(self) -> bool:
        if self.off:
            return True
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        self._leader = int(children[0]) if children else 0
        return bool(self._leader) and Path(f"/proc/{self._leader}/root/run/systemd/private").exists()

    def _until(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise BoardError(f"{what}: not within {PATIENCE:g} s{self._console()}")
            time.sleep(0.1)

    def _console(self) -> str:
        return "\n".join(["", *(self.folder / "console").read_text(errors="replace").splitlines()[-30:]])


def _site(repository: Repository) -> dict[str, Path]:
    """What the site puts in /etc/otad, by its name there."""
    assert repository.ca is not None
    return {"root.json": repository.anchor, "swupdate-ca.pem": repository.swupdate_ca, "repository-ca.pem": repository.ca}


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "LC_ALL": "C.UTF-8"}


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
