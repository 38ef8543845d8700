"""Cards at known moments of a device's life, with the fleet that they belong to. Made once: a story begins where it begins.

    settled    release 1.0.0 in A, nothing in B; it has booted once, and nothing newer is on offer
    armed      1.1.0 is on offer, installed in B and armed; the power went when U-Boot began
    committed  and then 1.1.0 was confirmed

Rules:
 1. Nothing on the shelf is ever changed: a story gets an overlay of a card, and a copy of the fleet.
 2. Each is made by the real chain, from the one before it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path

from otad.publisher.encode import fingerprint
from simulator.qemu import card, given, recovery, rootfs
from simulator.qemu.board import Board, overlay, whole
from simulator.qemu.cache import Cache
from simulator.qemu.field import Field
from simulator.qemu.fleet import Fleet
from simulator.qemu.uboot import BOARD

ROOM = 4 << 30
CARD, SHUTDOWN = "card.qcow2", "shutdown_s"
SOURCES = ("card.py", "fleet.py", "shelf.py")


@dataclass(frozen=True)
class Parts:
    """What a board is made of."""

    uboot: Path
    root: Path
    recovery: Path

    @classmethod
    def made(cls, cache: Cache) -> Parts:
        """Built if they are not there; a person's own, where OTAD_BOARD_UBOOT and OTAD_BOARD_ROOT name them. Raises NotReady."""
        uboot, root = (os.environ.get(f"OTAD_BOARD_{name}") for name in ("UBOOT", "ROOT"))
        return cls(
            given.uboot(Path(uboot).absolute()) if uboot else BOARD.made(cache),
            given.story_root(Path(root).absolute()) if root else rootfs.made(cache),
            recovery.made(cache),
        )

    def names(self) -> Iterator[bytes]:
        """What tells these parts from others."""
        yield from (fingerprint(path)[0].encode() for path in (self.uboot, self.root, self.recovery))
        yield from (Path(__file__).with_name(name).read_bytes() for name in SOURCES)


@dataclass(frozen=True)
class Moment:
    """A moment: `folder` holds the card, and the fleet as it was then."""

    parts: Parts
    folder: Path

    def card(self, to: Path) -> Path:
        """A card of one's own that begins as this one."""
        return overlay(to, self.folder / CARD)

    def fleet(self, to: Path) -> Fleet:
        """A fleet of one's own."""
        shutil.copytree(self.folder / "fleet", to, symlinks=True)
        fleet = Fleet.open(to, self.parts.root)
        fleet.depot.publish()  # what expires soon is signed anew
        return fleet

    @property
    def shutdown_s(self) -> float:
        """Of `armed`: seconds from the application's stop to U-Boot's first word."""
        return float((self.folder / SHUTDOWN).read_text())


def settled(cache: Cache) -> Moment:
    """A new device. Raises NotReady."""
    parts = Parts.made(cache)

    def make(part: Path) -> None:
        fleet = Fleet.create(part / "fleet", parts.root)
        card.create(part / "factory.img", fleet.image("1.0.0", {}), {}, parts.recovery)
        fleet.offer("1.0.0")
        with fleet.serving():
            asyncio.run(_settle(Board(parts.uboot, overlay(part / "drive.qcow2", part / "factory.img")), fleet))
        (part / "factory.img").unlink()

    return Moment(parts, cache.entry("board-settled", parts.names(), make, room=ROOM))


def armed(cache: Cache) -> Moment:
    """A device that was offered 1.1.0. Raises NotReady."""
    return _later("board-armed", settled(cache), _arm, cache)


def committed(cache: Cache) -> Moment:
    """A device that has taken 1.1.0. Raises NotReady."""
    return _later("board-committed", armed(cache), _commit, cache)


def _later(name: str, before: Moment, lives: Callable[[Board, Fleet], Coroutine[None, None, None]], cache: Cache) -> Moment:
    def make(part: Path) -> None:
        fleet = before.fleet(part / "fleet")
        with fleet.serving():
            asyncio.run(lives(Board(before.parts.uboot, before.card(part / "drive.qcow2")), fleet))

    return Moment(before.parts, cache.entry(name, before.parts.names(), make, room=ROOM))


async def _settle(board: Board, fleet: Fleet) -> None:
    async with board:
        await board.power_on()
        end = await Field(board, fleet).settles()
        assert (end.slot, end.running, end.history) == ("A", "1.0.0", []), end
        await board.run("sync")
    _keep(board.card)


async def _arm(board: Board, fleet: Fleet) -> None:
    async with board:
        field = Field(board, fleet)
        await board.power_on()
        await board.booted()
        await field.offers("1.1.0")
        await field.takes()
        await board.ended("install", "done")
        down = await field.resets()
    board.card.with_name(SHUTDOWN).write_text(str(down - field.stopped))
    _keep(board.card)


async def _commit(board: Board, fleet: Fleet) -> None:
    async with board:
        await board.power_on()
        end = await Field(board, fleet).settles()
        assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")]), end
        await board.run("sync")
    _keep(board.card)


def _keep(drive: Path) -> None:
    whole(drive, drive.with_name(CARD))
    drive.unlink()
