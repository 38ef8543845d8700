"""What tests ask of a fast board: what ran, what the journal says, what otactl prints, and that nothing was lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otad.bootenv import Slot
from otad.control.status import ended
from otad.errors import Cause
from otad.journal import JournalError
from otad.journal.reader import Reader
from otad.statemachine import Record, State
from simulator.fastboard import FastBoard
from tests.support import failures

A, B = Slot.A, Slot.B
MISSING = [tool for tool in ("swupdate", "fw_setenv", "mkenvimage", "mkfs.ext4", "debugfs") if not shutil.which(tool)]
REAL_PARTS = [pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"), pytest.mark.timeout(300)]
PATIENCE = 120.0
"""Seconds that anything may take on a slow and busy machine. It bounds a hang; nothing is measured with it."""

GOOD_UPDATE = [
    ("idle", "due"),
    ("check", "admitted"),
    ("download", "done"),
    ("verify", "done"),
    ("install", "done"),
    ("validate", "done"),
    ("commit", "done"),
]
"""(state, outcome) of every event of an update that is committed."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a command wrote, and how it ended."""

    exit: int
    out: str
    err: str


@dataclass(frozen=True)
class Kept:
    """What an update may not touch: the running slot's SHA-256, and what others have on the data partition."""

    slot: str
    data: bytes


def runs(board: FastBoard) -> str:
    """The version of what runs."""
    return str(json.loads(board.release)["version"])


def journal(board: FastBoard) -> tuple[Record | None, list[Event]]:
    """The record and the events, oldest first. Raises JournalError."""
    with closing(Reader(board.folder / "data" / "otad" / "journal.db")) as reader:
        return reader.load(), reader.events.latest(1000)


def chain(board: FastBoard) -> list[tuple[str, str]]:
    """(state, outcome) of every event."""
    return [(event["state"], event["outcome"]) for event in journal(board)[1]]


def ballast(board: FastBoard) -> Path:
    """A file of somebody else on the data partition."""
    return board.folder / "data" / "pictures"


def keep(board: FastBoard) -> Kept:
    """Look at what must stay as it is. The first look puts the file there; afterwards it must not be missing."""
    looked = board.folder / "looked"
    if not looked.exists():
        ballast(board).write_bytes(b"not ours")
        looked.touch()
    return Kept(hashlib.sha256(board.slots[A].read_bytes()).hexdigest(), ballast(board).read_bytes())


def nothing_lost(board: FastBoard, kept: Kept) -> None:
    """The running slot and the data partition are untouched, nothing is armed, the journal is whole and at rest."""
    assert keep(board) == kept
    env = board.env.load()
    assert (env.boot_partition, env.upgrade_available, env.otad_rollback) == ("A", "0", "")
    _whole(board)
    record, _ = journal(board)
    assert record is not None
    assert (record.state, record.home, record.attempt) == (State.IDLE, A, None)


def _whole(board: FastBoard) -> None:
    with closing(sqlite3.connect(board.folder / "data" / "otad" / "journal.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def otactl(board: FastBoard, *words: str) -> Said:
    """Run otactl on the board, as a person over ssh does."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "otad.cli", *words, "--config", str(board.folder / "otad.toml"))
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Said(process.returncode or 0, out.decode(), err.decode())


async def shown(board: FastBoard, cause: dict[str, Any]) -> None:
    """`otactl status` works, and says `cause` with its next step."""
    said = await otactl(board, "status")
    assert (said.exit, said.err) == (0, "")
    failures.tell(board, said.out, Cause.from_dict(cause))


async def calm(board: FastBoard, kept: Kept) -> None:
    """An update in spite of something: the slot that ran and the data of others are untouched, and nobody has to complain.

    Neither `otactl status`, nor who looks at the journal and the environment.
    """
    assert keep(board) == kept
    _whole(board)
    env = board.env.load()
    assert (env.upgrade_available, env.otad_rollback) == ("0", "")
    said = await otactl(board, "status")
    assert (said.exit, said.err) == (0, "")
    assert "Why" not in said.out
    failures.calm(board, said.out)


async def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `holds()`; a test fails that waits too long for `what`. A journal that is being made holds nothing."""

    def now() -> bool:
        try:
            return bool(holds())
        except JournalError:
            return False

    end = time.monotonic() + seconds
    while not now():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)


async def rest(board: FastBoard, seen: int = 0) -> None:
    """Wait until otad is at rest, with more than the `seen` events. It may stay awake, when it tries again soon."""

    def over() -> bool:
        board.look()
        try:
            record, events = journal(board)
        except JournalError:  # not made yet, or cut off while it was written
            return False
        here = (board.folder / "boot_id").read_text().strip()
        at_rest = record is not None and record.state is State.IDLE and len(events) > seen and ended(events[-1])
        return at_rest and here in (record and record.boot_id, events[-1]["boot"])

    await until(over, "at rest")


async def refused(board: FastBoard, code: str, *words: str) -> Event:
    """Power on; what is bad about the board or its repository is noticed, for the reason `code`, and does no harm.

    `words` stand in what is said. Returns the event that tells it.
    """
    kept = keep(board)
    seen = len(journal(board)[1]) if (board.folder / "data" / "otad" / "journal.db").exists() else 0
    await board.power_on()
    await rest(board, seen)
    return await harmless(board, kept, code, *words)


async def harmless(board: FastBoard, kept: Kept, code: str, *words: str) -> Event:
    """The last thing that went wrong was `code`: told with a remedy, by otactl too, and without harm."""
    nothing_lost(board, kept)
    event = next(event for event in reversed(journal(board)[1]) if event.get("cause"))
    cause = event["cause"]
    assert cause["code"] == code, cause
    for word in words:
        assert word in cause["what"]
    assert cause["remedy"]
    await shown(board, cause)
    return event


async def goes_on(board: FastBoard) -> None:
    """After a power cycle the old system boots; and now that nothing is wrong any more, 1.1.0 is installed and committed."""
    await board.cut()
    board.pass_hours()
    assert await board.power_on() is A
    assert runs(board) == "1.0.0"
    assert await board.settled(PATIENCE) is B
    assert runs(board) == "1.1.0"
    assert chain(board)[-1] == ("commit", "done")


async def stays(board: FastBoard) -> None:
    """After a power cycle the old system boots, and that is all."""
    kept = keep(board)
    await board.cut()
    assert await board.power_on() is A
    assert runs(board) == "1.0.0"
    await rest(board)
    nothing_lost(board, kept)


async def check_again(board: FastBoard) -> None:
    """Once otad sleeps: as if the check interval had passed."""
    await board.settled(PATIENCE)
    board.pass_hours()
    await board.wake()
    await board.settled(PATIENCE)


def steered(board: FastBoard, synchronised: bool) -> None:
    """As if the device's clock were synchronised, or not, whatever that of this machine is: the kernel's word is replaced."""
    error = "2**62" if synchronised else "0"
    script = f"from otad.trust import clock; clock._SYNCED_ERROR = {error}; from otad.daemon import main; main()"
    board.otad = (sys.executable, "-c", script)
