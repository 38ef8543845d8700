"""What an install needs: two slot files, a cache, and the handler that drives the real SWUpdate, confined."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from otad.bootenv import Slot
from otad.config import Paths, Slots, Swupdate
from otad.encoding import Source, plain
from otad.encoding import zstd as zstandard_encoding
from otad.formats.release import Payload, PayloadKind
from otad.payload.swupdate import SwupdateHandler
from otad.slots import Slots as SlotStore
from tests.support.bundles import Signer

IMAGE = random.Random(7).randbytes(3 << 20)
SIZE = 4 << 20
OLD = b"old system".ljust(SIZE, b".")


@dataclass
class Board:
    """Everything lies in `folder`. `device`: another one for slot B than the file slot-b."""

    folder: Path
    signer: Signer
    settings: Swupdate
    readback: bool = True
    device: Path | None = None
    progress: list[tuple[int, int]] = field(default_factory=list)

    @property
    def slot_settings(self) -> Slots:
        return Slots(a=self.folder / "slot-a", b=self.device or self.folder / "slot-b")

    @property
    def slots(self) -> SlotStore:
        return SlotStore(self.slot_settings, self.paths)

    @property
    def paths(self) -> Paths:
        return Paths(data=self.folder / "data", run=self.folder / "run")

    @property
    def handler(self) -> SwupdateHandler:
        return SwupdateHandler(self.settings, self.slots, self.paths.run, self.folder / "hwrevision", readback=self.readback)

    def read(self, slot: Slot) -> bytes:
        return self.slots.device(slot).read_bytes()

    def offer(self, bundle: bytes, *, zstd: bool = False, disk: int = len(IMAGE)) -> tuple[Payload, Source]:
        """The bundle as it lies in the cache."""
        sha256 = hashlib.sha256(bundle).hexdigest()
        data = zstandard.compress(bundle) if zstd else bundle
        blob = self.folder / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        decoder = zstandard_encoding.DECODER if zstd else plain.DECODER
        payload = Payload(kind=PayloadKind.SYSTEM, name="system", sha256=sha256, length=len(bundle), disk=disk)
        return payload, Source(blob, decoder, sha256, len(bundle))

    def tell(self, done: int, total: int) -> None:
        self.progress.append((done, total))
