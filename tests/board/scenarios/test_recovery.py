"""Recovery: when no slot comes up it runs, says why, can be reached, and gives the slots another chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from otad.bootenv.uboot import parse
from simulator.qemu import card
from simulator.qemu.board import BANNER, Board, overlay
from simulator.qemu.cache import Cache
from simulator.qemu.cardreader import inserted
from simulator.qemu.field import WHY, Field
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import Parts
from simulator.qemu.tools import NotReady
from tests.board.scenarios.conftest import Record

WAIT = 30  # seconds in place of half an hour
COUNTED = r"Saving Environment to MMC.*OK"
AGAIN = r"otad recovery: nobody is here, the slots are tried again"


@dataclass(frozen=True)
class Factory:
    """Makes boards that have never run: A as `image`, or nothing in it; nothing in B."""

    parts: Parts
    fleet: Fleet
    image: Path
    folder: Path

    def board(self, *, slot_a: bool = True, recovery: bool = True, **env: str) -> Board:
        """A new one; its environment is the built-in one, but for `env` and a shorter half hour."""
        base, nothing = self.folder / "factory.img", self.folder / "nothing"
        nothing.touch()
        card.create(base, self.image if slot_a else nothing, {}, self.parts.recovery if recovery else None)
        drive = overlay(self.folder / "card.qcow2", base)
        with inserted(drive) as reader:
            reader.store({"otad_recovery_wait": str(WAIT), **env})
        base.unlink()  # the card is whole since it was in the reader
        return Board(self.parts.uboot, drive)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parts, Fleet, Path]]:
    try:
        parts = Parts.made(Cache.default())
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)
    fleet = Fleet.create(tmp_path_factory.mktemp("recovery") / "fleet", parts.root)
    image = fleet.image("1.0.0", {})
    yield parts, fleet, image
    image.unlink()


@pytest.fixture
def factory(made: tuple[Parts, Fleet, Path], tmp_path: Path) -> Factory:
    return Factory(*made, tmp_path)


async def logs_in(board: Board) -> None:
    """Somebody comes to the console."""
    board.type("")
    await board.until(r"/ #")


async def test_both_slots_are_bad(factory: Factory, record: Record) -> None:
    """It says which, is read over the network, tries them again, waits for whoever is there, and resets when it hangs."""
    async with factory.board(slot_a=False) as board:
        field = Field(board, factory.fleet)
        await board.power_on()
        began = await field.resets()
        end = await field.gives_up()
        cause = end.env["otad_recovery_cause"]
        assert cause.startswith("slot A was given up, then slot B did not come up: ")
        assert "otad_boots=9" in cause
        assert len(board.console.all(BANNER)) == 18  # nine boots each, the ones that gave a slot up among them
        record("both_empty", field, end, since=began)
        assert cause in await field.page()

        await board.until(AGAIN)
        why = await board.until(WHY)
        assert why[1].startswith("slot B was given up, then slot A did not come up: ")  # they took turns

        await logs_in(board)
        await board.run(f"sleep {2 * WAIT}")
        assert len(board.console.all(AGAIN)) == 1
        assert parse((await board.run("fw_printenv")).out)["otad_recovery_cause"] == why[1]

        board.type(r"printf '#!/bin/sh\nsleep 600\n' >/bin/fw_printenv; exit")  # its loop waits for ever
        await board.until(BANNER)
        await board.until(WHY)


async def test_twenty_short_power_ups_of_a_new_device(factory: Factory, record: Record) -> None:
    """Nothing is in B, and 20 times the power goes before otad is up. Recovery comes, and then A."""
    async with factory.board() as board:
        for _ in range(20):
            await board.power_on()
            await board.until(COUNTED)
            await board.cut()
        await board.power_on()
        why = await board.until(WHY)
        assert why[1].startswith("slot A was given up, then slot B did not come up: ")
        await board.until(AGAIN)
        field = Field(board, factory.fleet)
        end = await field.settles()
        assert (end.slot, end.env["boot_partition"], end.env["otad_boots"]) == ("A", "A", "0")
        assert not end.env.get("otad_rollback")
        assert end.env["otad_recovery_cause"] == why[1]  # so one can still read why it was away
        record("twenty_power_ups", field, end)


async def test_the_recovery_image_is_missing(factory: Factory, record: Record) -> None:
    """No tight loop, and no prompt: the other slot's turn, a minute later."""
    async with factory.board(recovery=False, boot_partition="B", otad_boots="8", otad_fallback="A", otad_rollback="A") as board:
        await board.power_on()
        await board.until(COUNTED)  # this boot
        stored = await board.until(COUNTED)  # the retry
        again = await board.until(BANNER)
        assert again.at - stored.at > 50
        field = Field(board, factory.fleet)
        end = await field.settles()
        assert end.slot == "A"
        assert not end.env.get("otad_rollback")
        record("recovery_missing", field, end)
