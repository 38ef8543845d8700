"""The system image: one SWUpdate process per install, the bundle on its stdin, the inactive slot as its only target.

Rules:
 1. SWUpdate's exit status is the truth about the install; its progress is shown, never believed.
 2. `check` reads the bundle's head only. Its signature is judged by SWUpdate itself, on an archive of that head alone: a tenth
    of a second in place of a second read of the image. Every image's hash is proved while it is installed, into a slot that
    nothing boots; the bytes of the whole bundle were proved against the signed release before.
 3. The environment is SWUpdate's to write only if the bundle says so: `-m -M` keep its own marks out, `-B uboot` makes a
    bootenv section take effect instead of being silently ignored. INSTALL compares before and after.
 4. SWUpdate syncs nothing: the slot is synced, and if configured read back, before `install` returns.
 5. What the target is, is decided here: the bundle says `target`, a link in SWUpdate's working folder. Whether that may be
    written at all is decided by `otad.slots`, which the states ask right before.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Protocol

from otad.blocking import finish, start
from otad.bootenv import Slot
from otad.config import Swupdate
from otad.encoding import Source
from otad.encoding.pump import feed
from otad.errors import RetryLater, Who
from otad.formats import swu
from otad.formats.release import Payload, PayloadKind
from otad.payload import Installed, Progress, messages, process
from otad.payload.bundle import Hardware, Plan, plan
from otad.payload.progress import Message

UNSENDABLE = 16 << 20
"""Bytes that no socket holds. SWUpdate's main thread hands on what it reads, then asks whether its installer is idle, and ends if
so: an installer that has not even woken up is idle, and judges in a process that is being taken down. What is not all handed on
keeps it waiting (ipc/network_ipc.c, ipc_wait_for_complete)."""


class Slots(Protocol):
    """What is needed of `otad.slots`."""

    def device(self, slot: Slot) -> Path:
        """Block device, or plain file, that holds a slot."""

    def sync(self, slot: Slot) -> None:
        """What was written to the slot reaches the medium. Blocks."""

    def digest(self, slot: Slot, length: int, progress: Progress, stop: threading.Event) -> str:
        """SHA-256 (hex) of the slot's first `length` bytes. Blocks; raises Stopped soon after `stop` is set."""


class SwupdateHandler:
    """Installs a payload of kind SYSTEM.

    run         folder in tmpfs for SWUpdate's working folder and lock
    hwrevision  file with "board revision"
    readback    read the slot again and compare its hash before it counts as installed
    """

    kind = PayloadKind.SYSTEM

    def __init__(self, settings: Swupdate, slots: Slots, run: Path, hwrevision: Path, *, readback: bool = True) -> None:
        self._settings = settings
        self._slots = slots
        self._run = run
        self._hwrevision = hwrevision
        self._readback = readback

    async def check(self, payload: Payload, source: Source, target: Slot) -> None:
        """Refuse what this device must not install. Raises Rejected, RetryLater, or Corrupt for a blob that cannot be decoded."""
        head, _ = await finish(start(self._look, payload, source, target))
        nowhere = Path(os.devnull)  # whatever SWUpdate made of -c, it could write nothing
        with process.room(self._run, nowhere) as room, room.put("head.swu", swu.alone(head), UNSENDABLE).open("rb") as stdin:
            ended = await process.run((*self._command(target), "-c"), stdin.fileno(), room, self._settings.timeout)
        if ended.status != 0:
            error = messages.explain(ended.log, ended.status, payload.name)
            if error.cause.code != messages.UNKNOWN:  # of a head alone it must say that the image is missing
                raise error

    async def install(self, payload: Payload, source: Source, target: Slot, progress: Progress) -> Installed:
        """Write the slot, sync it, read it back. Raises Rejected, RetryLater, Corrupt, BootEnvironmentError."""
        _, planned = await finish(start(self._look, payload, source, target))
        reads = self._readback or planned.sha256 is None
        steps = _Steps(progress, planned.length, reads=reads)
        with process.room(self._run, self._slots.device(target)) as room:
            async with feed(source) as stdin:
                ended = await process.run(self._command(target), stdin, room, self._settings.timeout, steps.wrote)
        if ended.status != 0:
            raise messages.explain(ended.log, ended.status, payload.name)
        steps.written()
        await finish(start(self._slots.sync, target))
        if not reads:
            return Installed(payload.sha256, str(planned.sha256), planned.length)
        stop = threading.Event()
        found = await finish(start(self._slots.digest, target, planned.length, steps.read, stop), stop)
        if found != (planned.sha256 or found):
            raise _differs(payload, target, found, str(planned.sha256))
        return Installed(payload.sha256, found, planned.length)

    def _look(self, payload: Payload, source: Source, target: Slot) -> tuple[swu.Head, Plan]:
        with closing(source.stream()) as pieces:
            head = swu.head(pieces)
        device = self._slots.device(target)
        names = {str(device), str(device.resolve())}
        return head, plan(head, self._hardware(), target, names, payload.disk)

    def _command(self, target: Slot) -> tuple[str, ...]:
        settings = self._settings
        signer = ("--forced-signer-name", settings.signer) if settings.signer else ()
        trust = ("-k", str(settings.ca.absolute()), *signer)
        where = ("-e", f"{swu.SET},{target.value}", "-H", str(self._hardware()), "-i", "/dev/stdin")
        return (*settings.command, "-v", "-B", "uboot", "-m", "-M", *trust, *where)

    def _hardware(self) -> Hardware:
        try:
            board, revision = self._hwrevision.read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise RetryLater(
                "hwrevision-unreadable",
                f"cannot tell this device's hardware: {self._hwrevision} is missing or not `board revision`",
                'Put the board and its revision there, for instance "jetson-nano 1.0"',
                who=Who.OS_BUILDER,
            ) from error
        return Hardware(board, revision)


class _Steps:
    """Joins writing and reading back into one progress, in bytes of the image."""

    def __init__(self, progress: Progress, length: int, *, reads: bool) -> None:
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._length = length
        self._wrote = 0
        self._all = 2 * length if reads else length

    def wrote(self, message: Message) -> None:
        """SWUpdate starts again from 0 % at each of its steps; what people see only grows."""
        self._wrote = max(self._wrote, min(message.percent, 100) * self._length // 100)
        self._progress(self._wrote, self._all)

    def written(self) -> None:
        """SWUpdate has ended well: a small image may be written before its socket was found."""
        self._progress(self._length, self._all)

    def read(self, done: int, _all: int) -> None:
        """Called in the thread that reads; told in the loop, as the rest."""
        self._loop.call_soon_threadsafe(self._progress, self._length + done, self._all)


def _differs(payload: Payload, target: Slot, found: str, expected: str) -> RetryLater:
    return RetryLater(
        "slot-differs",
        f"slot {target.value} does not hold what was written to it: reading it back gives another hash than {payload.name} has",
        "It is written again; if it happens again, the slot's medium is worn out (`journalctl -k`)",
        who=Who.FIELD,
        evidence={"found": found, "expected": expected},
    )
