"""What must hold on a board without power, at any instant whatever. Each function tells what does not, in words.

Rules:
 1. Nothing here changes the board: the journal is looked at as a copy, for opening it undoes a half transaction.
 2. What otad has said is done must be on the disk: its log comes after the transaction that it tells of.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otad.bootenv import Slot
from otad.fetch.ranges import Ledger
from otad.journal.reader import Reader
from otad.statemachine import Record, State
from simulator.bootloader import Env
from simulator.fastboard import FastBoard
from simulator.torture.stock import Stock

BALLAST = "data/pictures"  # somebody else's
ROLES = ("timestamp", "snapshot", "targets", "releases", "rollouts")
FETCHED = {State.VERIFY, State.INSTALL}
WRITTEN = {State.REBOOT, State.VALIDATE, State.COMMIT}
KEPT = {"evidence": 5, "generations": 4, "trust/documents": 64}  # files or folders that may be there at most
SAID = re.compile(r"^\w+ otad\.book: \w+: \w+", re.MULTILINE)


@dataclass(frozen=True)
class Board:
    """A board without power, as it was found.

    slots  which image each holds, whole; None: none
    """

    folder: Path
    env: Env
    slots: dict[Slot, str | None]
    record: Record | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    damage: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """Where the journal says that it is."""
        return self.record.state.value if self.record else "new"

    @property
    def trial(self) -> bool:
        """A slot is armed, or on trial."""
        return self.env.upgrade_available == "1"

    def pointer(self, slot: Slot) -> Path:
        """A slot's link to its generation."""
        return self.folder / "data" / "otad" / "slots" / slot.value

    @property
    def selected(self) -> Slot:
        """What the boot loader takes next."""
        return Slot.B if self.env.boot_partition == "B" else Slot.A


def look(board: FastBoard, stock: Stock) -> Board:
    """Look at a board. Raises subprocess.CalledProcessError when its environment cannot be read."""
    slots = {slot: stock.version(file) for slot, file in board.slots.items()}
    return Board(board.folder, board.env.load(), slots, *_journal(board.folder / "data" / "otad"))


def _journal(data: Path) -> tuple[Record | None, list[dict[str, Any]], tuple[str, ...]]:
    aside = tuple(f"the journal was set aside: {file.name}" for file in data.glob("journal.db.damaged-*"))
    if not (data / "journal.db").exists():
        return None, [], aside
    with tempfile.TemporaryDirectory() as folder:
        for file in data.glob("journal.db*"):
            shutil.copy(file, folder)
        copy = Path(folder) / "journal.db"
        try:
            with closing(sqlite3.connect(copy)) as db:
                found = [row[0] for row in db.execute("PRAGMA integrity_check")]
                tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if found != ["ok"]:
                return None, [], (*aside, f"the journal is damaged: {found}")
            if not tables:
                return None, [], aside
            with closing(Reader(copy)) as reader:
                return reader.load(), reader.events.latest(5000), aside
        except sqlite3.Error as error:
            return None, [], (*aside, f"the journal is damaged: {error}")


def broken(board: Board) -> Iterator[str]:
    """Every promise that does not hold."""
    yield from board.damage
    for promise in (_boots, _record, _said, _pointers, _cache, _trust, _evidence, _identity, _bounds):
        yield from promise(board)
    if (board.folder / BALLAST).read_bytes() != b"not ours":
        yield "somebody else's file has changed"


def _boots(board: Board) -> Iterator[str]:
    fallback = board.env.otad_fallback
    if board.slots[board.selected] is None:
        yield f"slot {board.selected.value} is {'armed' if board.trial else 'selected'} and not whole"
    if board.trial and fallback not in ("A", "B"):
        yield "a trial has no fallback"
    if fallback in ("A", "B") and board.slots[Slot(fallback)] is None and _stocked(board, Slot(fallback)):
        yield f"slot {fallback} is the fallback and not whole"


def _stocked(board: Board, slot: Slot) -> bool:
    """Whether there ever was something in a slot: the factory leaves B empty, and the environment's default names it."""
    with (board.folder / f"slot-{slot.value.lower()}").open("rb") as file:
        return any(iter(lambda: file.read(1 << 20).strip(b"\0"), b"")) if slot is Slot.B else True


def _record(board: Board) -> Iterator[str]:
    """What the record builds upon is there."""
    record = board.record
    if record is None:
        return
    attempt = record.attempt
    if attempt is None:
        committed = [event["version"] for event in board.events if (event["state"], event["outcome"]) == ("commit", "done")]
        if committed and board.slots[record.home] == committed[-1] and not board.pointer(record.home).is_symlink():
            yield f"{committed[-1]} was committed, and slot {record.home.value} points at nothing"
        return
    blobs = [file for file in (board.folder / "data" / "updates").iterdir() if not file.suffix]
    if record.state in FETCHED and attempt.generation is None and not blobs:
        yield f"the journal says {record.state.value}, and what was fetched is not there"
    if record.state in WRITTEN and attempt.target:
        if board.slots[attempt.target] != attempt.version:
            yield f"the journal says {record.state.value}, and slot {attempt.target.value} does not hold {attempt.version}"
        link = board.pointer(attempt.target)
        if not link.is_symlink() or link.readlink().name != str(attempt.generation):
            yield f"the journal says {record.state.value}, and slot {attempt.target.value} does not point at its generation"


def _said(board: Board) -> Iterator[str]:
    said = len(SAID.findall(board.folder.with_suffix(".console").read_text(errors="replace")))
    if len(board.events) < said:
        yield f"otad told of {said} transitions, and the journal has {len(board.events)}"


def _pointers(board: Board) -> Iterator[str]:
    for slot in Slot:
        link = board.pointer(slot)
        if not link.is_symlink():
            continue
        try:
            generation = json.loads((link / "generation.json").read_bytes())["generation"]
        except (OSError, ValueError, KeyError) as error:
            yield f"slot {slot.value} points at what is not whole: {error}"
            continue
        if generation["system"] and board.slots[slot] != generation["version"]:
            yield f"slot {slot.value} points at {generation['version']}, and does not hold it"


def _cache(board: Board) -> Iterator[str]:
    """A file without suffix is whole; what a ledger claims is there."""
    for file in (board.folder / "data" / "updates").iterdir():
        if not file.suffix and hashlib.sha256(file.read_bytes()).hexdigest() != file.name:
            yield f"the cache holds {file.name[:8]}, and it is not whole"
        if file.suffix == ".ledger" and not file.name.startswith("."):
            claim, part = Ledger.decode(file.read_bytes()), file.with_suffix(".part")
            if claim is None:
                yield f"the ledger of {file.name[:8]} is not whole"
            elif part.exists() and hashlib.sha256(part.read_bytes()[: claim.offset]).hexdigest() != claim.sha256:
                yield f"the ledger of {file.name[:8]} claims {claim.offset} bytes that are not there"


def _trust(board: Board) -> Iterator[str]:
    trust = board.folder / "data" / "otad" / "trust"
    yield from (f"trusted metadata was set aside: {file.name}" for file in trust.rglob("*.aside"))
    for file in trust.rglob("*.json"):
        try:
            json.loads(file.read_bytes())
        except ValueError:
            yield f"trusted metadata is not whole: {file.name}"
    attempt = board.record.attempt if board.record else None
    if attempt and attempt.campaign:
        yield from (
            f"an attempt is under way, and the {role} that admitted it is not kept"
            for role in ROLES
            if not (trust / f"{role}.json").exists()
        )


def _evidence(board: Board) -> Iterator[str]:
    """An archive is whole, and the newest that was told of is there."""
    folder = board.folder / "data" / "otad" / "evidence"
    for file in folder.glob("*.tar.gz"):
        try:
            gzip.decompress(file.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            yield f"the evidence {file.name} is not whole: {error}"
    told = [event.get("evidence", {}).get("archive") for event in board.events]
    newest = next((name for name in reversed(told) if name), None)
    if newest and not (folder / Path(newest).name).exists():
        yield f"otad told of evidence that is not there: {Path(newest).name}"


def _identity(board: Board) -> Iterator[str]:
    told = {event["device"] for event in board.events}
    file = board.folder / "data" / "otad" / "identity"
    try:
        kept = json.loads(file.read_bytes())["id"] if file.exists() else ""
    except ValueError:
        kept = ""
    if told and {kept} != told:
        yield f"the device told of itself as {', '.join(told)}, and has kept {kept or 'no id'}"


def _bounds(board: Board) -> Iterator[str]:
    for name, most in KEPT.items():
        found = list((board.folder / "data" / "otad" / name).glob("[!.]*"))
        if len(found) > most:
            yield f"{name} holds {len(found)} things, and may hold {most}"
