"""The board's card in a reader, its power off: looked at and changed from outside.

Rules:
 1. While it is in the reader the card is a raw file; what was changed there is on the card afterwards.
 2. Nothing is mounted, and nothing is repaired: a file system is met as the cut left it, until `broken` has replayed its journal.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from otad.bootenv import uboot
from otad.bootenv.uboot import parse
from otad.journal.reader import Reader
from otad.statemachine import Record
from simulator.qemu import card, parity
from simulator.qemu.card import LAYOUT, MIB, Files

SERIAL = parity.HEADER - 1  # byte of a copy that tells which one is newer
SECTOR = 512


@contextmanager
def looked_at(drive: Path) -> Iterator[Inserted]:
    """A copy of the card `drive` (qcow2), while the context lasts."""
    raw = drive.with_suffix(".raw")
    try:
        subprocess.run(["qemu-img", "convert", "-O", "raw", drive, raw], check=True)
        yield Inserted(raw)
    finally:
        raw.unlink(missing_ok=True)


@contextmanager
def inserted(drive: Path) -> Iterator[Inserted]:
    """The card `drive` (qcow2) itself in the reader, while the context lasts."""
    back = drive.with_suffix(".back")
    with looked_at(drive) as card:
        yield card
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", card.raw, back], check=True)
    back.replace(drive)


@dataclass(frozen=True)
class Inserted:
    """The card as the raw file `raw`."""

    raw: Path

    def put(self, partition: str, files: Files) -> None:
        """Put files into a partition's file system; into a slot's, for the journal of one that was being written undoes it."""
        card.put(self._filesystem(partition), files)

    def read(self, partition: str, name: str) -> bytes:
        """A file of a partition; empty when it is not there."""
        return card.read(self._filesystem(partition), name)

    def fetch(self, partition: str, name: str, to: Path) -> Path:
        """A folder of a partition, as it is, into the folder `to`."""
        to.mkdir(parents=True)
        subprocess.run(["debugfs", "-R", f'rdump {name} "{to}"', self._filesystem(partition)], capture_output=True, check=True)
        return to / Path(name).name

    def remembers(self) -> Record | None:
        """The record of otad's journal. Raises OtadError, sqlite3.Error when it cannot be read."""
        with tempfile.TemporaryDirectory() as folder:
            data = self.fetch("data", "/otad", Path(folder) / "data")
            with closing(Reader(data / "journal.db")) as reader:
                return reader.load()

    def wipe(self, partition: str, mib: int = 8) -> None:
        """Overwrite the beginning of a partition with what is no file system."""
        self._overwrite(LAYOUT[partition][0] * MIB, b"\xa5" * (mib * MIB))

    def broken(self, partition: str) -> str:
        """What e2fsck finds wrong with a file system after its journal, which is replayed on the card too; empty when nothing."""
        start, size = LAYOUT[partition]
        alone, dd = self.raw.with_suffix(f".{partition}"), ["dd", "bs=1M", "status=none"]
        try:  # e2fsck replays the journal of a part of a file, and then cannot open that part again
            subprocess.run([*dd, f"if={self.raw}", f"of={alone}", f"skip={start}", f"count={size}", "conv=sparse"], check=True)
            for options in (["-E", "journal_only", "-p"], ["-f", "-n"]):
                done = subprocess.run(["e2fsck", *options, alone], capture_output=True, text=True, check=False)
                if done.returncode:
                    return done.stdout.strip()
            subprocess.run([*dd, f"if={alone}", f"of={self.raw}", f"seek={start}", "conv=notrunc"], check=True)
        finally:
            alone.unlink(missing_ok=True)
        return ""

    def environment(self) -> dict[str, str]:
        """The boot environment: the newer of its whole copies."""
        return parse(self._copy(self._newest())[parity.HEADER :].split(b"\0\0")[0].decode().replace("\0", "\n"))

    def store(self, change: Mapping[str, str]) -> None:
        """Change variables of the boot environment, in one store."""
        config = self.raw.with_suffix(".config")
        config.write_text("".join(f"{self.raw} {offset:#x} {parity.SIZE:#x}\n" for offset in parity.COPIES))
        subprocess.run(["fw_setenv", "-c", config, "-s", "-"], input=uboot.script(change), text=True, check=True)

    def tear(self) -> None:
        """The power went while the newest copy was being stored: all but its first sector is erased."""
        self._overwrite(self._newest() + SECTOR, b"\xff" * (parity.SIZE - SECTOR))

    def blank(self) -> None:
        """Both copies are lost."""
        for offset in parity.COPIES:
            self._overwrite(offset, bytes(parity.SIZE))

    def _filesystem(self, partition: str) -> str:
        return f"{self.raw}?offset={LAYOUT[partition][0] * MIB}"

    def _newest(self) -> int:
        first, second = (self._copy(offset)[SERIAL] for offset in parity.COPIES)
        return parity.COPIES[0 if (first - second) % 256 == 1 else 1]  # the serial number counts stores, and goes round

    def _copy(self, offset: int) -> bytes:
        with self.raw.open("rb") as file:
            file.seek(offset)
            return file.read(parity.SIZE)

    def _overwrite(self, offset: int, data: bytes) -> None:
        with self.raw.open("r+b") as file:
            file.seek(offset)
            file.write(data)
