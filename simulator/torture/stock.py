"""What all boards of a torture share: one published repository, and devices that have been through something already."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from otad.bootenv import Slot
from simulator.depot import Depot
from simulator.fastboard import SLOT_SIZE, FastBoard
from simulator.settings import Repository
from simulator.system import Kernel, System
from simulator.torture.plan import Nature, Start

FACTORY, EARLIER, FAILED = System("1.0.0"), System("1.1.0"), System("1.2.0", healthy=False)
NOISE = 4 << 20  # bytes: more than fetch/partial.py's CHUNK in all, so that a download has a ledger on its way
OFFERS = {
    Nature.GOOD: System("2.0.0", noise=NOISE),
    Nature.UNHEALTHY: System("2.1.0", noise=NOISE, healthy=False),
    Nature.PANICS: System("2.2.0", noise=NOISE, kernel=Kernel.PANICS),
    Nature.UNLOADABLE: System("2.3.0", noise=NOISE, kernel=Kernel.MISSING),
}
PASTS = {Start.UPDATED: (EARLIER, Slot.B), Start.FALLEN: (FAILED, Slot.A)}
"""What such a device was offered, and the slot that it runs since."""


@dataclass(frozen=True)
class Stock:
    """The repository as it is served, the factory's image, and what every published image is: {SHA-256: version}.

    lengths  of images, the shorter one first
    """

    folder: Path
    repository: Repository
    factory: Path
    images: dict[str, str]
    lengths: tuple[int, ...]
    _pasts: dict[Start, asyncio.Task[Path]] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def served(cls, folder: Path) -> AsyncIterator[Stock]:
        """Made in the new `folder`, and served while the context lasts. Each offer has a channel of its own."""
        depot = await asyncio.to_thread(Depot.create, folder / "depot")
        small = [(system, depot.image(system)) for system in (FACTORY, EARLIER, FAILED)]
        large = [(system, _filled(depot.image(system))) for system in OFFERS.values()]
        for system, image in (*small[1:], *large):
            await asyncio.to_thread(depot.add, system.version, await asyncio.to_thread(depot.pack, system.version, image))
            await asyncio.to_thread(depot.roll_out, system.version, system.version)
        images = {hashlib.sha256(image.read_bytes()).hexdigest(): system.version for system, image in (*small, *large)}
        lengths = tuple(sorted({image.stat().st_size for _, image in (*small, *large)}))
        async with depot.served() as repository:
            yield cls(folder, repository, small[0][1], images, lengths)

    def version(self, slot: Path) -> str | None:
        """Which image a slot holds, whole; None: none that was ever published."""
        digest, found = hashlib.sha256(), []
        with slot.open("rb") as file:
            for length in self.lengths:
                digest.update(file.read(length - file.tell()))
                found.append(self.images.get(digest.hexdigest()))
        return next((version for version in found if version), None)

    async def board(self, folder: Path, start: Start, nature: Nature) -> FastBoard:
        """A board in `folder`, off, with such a past, to which such a release is offered. Its console is beside the folder."""
        past = await self._past(start) if start in PASTS else None
        return await asyncio.to_thread(self._board, folder, past, OFFERS[nature].version)

    def _board(self, folder: Path, past: Path | None, channel: str) -> FastBoard:
        board = FastBoard.create(folder, self.factory, self.repository)
        (folder / "console").symlink_to(folder.with_suffix(".console"))
        board.configure("channel", f'[repository]\nchannel = "{channel}"\n')
        if past:
            for file in ("slot-a", "slot-b", "ubootenv.bin"):
                shutil.copyfile(past / file, folder / file)
            shutil.rmtree(folder / "data")
            shutil.copytree(past / "data", folder / "data", symlinks=True)
        return board

    def _past(self, start: Start) -> asyncio.Task[Path]:
        """Made once, when it is first wanted."""
        if start not in self._pasts:
            self._pasts[start] = asyncio.create_task(self._live(start))
        return self._pasts[start]

    async def _live(self, start: Start) -> Path:
        folder, (system, ends) = self.folder / start.value, PASTS[start]
        async with FastBoard.create(folder, self.factory, self.repository) as board:
            board.configure("channel", f'[repository]\nchannel = "{system.version}"\n')
            await board.power_on()
            assert await board.settled() is ends
            board.pass_hours()
        return folder


def _filled(image: Path) -> Path:
    """An image as large as a slot, so that writing it takes a while, and that zstd makes no smaller."""
    rng = random.Random(image.name)
    with image.open("ab") as file:
        file.write(rng.randbytes(SLOT_SIZE - file.tell()))
    return image
