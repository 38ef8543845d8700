"""The power goes, and comes back."""

from __future__ import annotations

import pytest

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

FETCHED = "test $(du -sm /data/updates | cut -f1) -gt 20"
WRITTEN = "test $(sed 's/  */ /g' /sys/class/block/mmcblk0p3/stat | cut -d' ' -f8) -gt 100000"  # sectors (block/stat.rst)


@pytest.mark.parametrize("reached", [FETCHED, WRITTEN], ids=["download", "install"])
async def test_while_bytes_are_on_their_way(settled: Field, reached: str, record: Record, request: pytest.FixtureRequest) -> None:
    await settled.board.power_on()
    assert await settled.board.booted() == "A"
    await settled.takes()
    await settled.board.holds(reached)
    await settled.board.cut()

    await settled.board.power_on()
    await settled.board.ended("commit", "done")
    end = await settled.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record(f"cut_{request.node.callspec.id}", settled, end)


async def test_while_the_trial_is_armed(armed: Field, record: Record) -> None:
    """Its store was not whole: the copy before it counts, and the old slot boots once more. The new one is armed again."""
    with inserted(armed.board.card) as card:
        card.tear()
    await armed.board.power_on()
    assert await armed.board.booted() == "A"
    await armed.resets()
    end = await armed.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("cut_arming", armed, end)
    assert not armed.board.journal.all(r"otad\[\d+\]: (download|install): done")


async def test_in_the_middle_of_the_trial_boot(armed: Field, record: Record) -> None:
    await armed.board.power_on()
    await armed.board.journal.until("Starting otad.service")
    await armed.board.cut()

    await armed.board.power_on()
    await armed.board.ended("commit", "done")
    end = await armed.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("cut_trial", armed, end)


async def test_while_it_is_confirmed(armed: Field, record: Record) -> None:
    """Health was proved, and is proved again in the boot that confirms."""
    await armed.board.power_on()
    await armed.board.ended("validate", "done")
    await armed.board.cut()
    with inserted(armed.board.card) as card:
        if card.environment()["upgrade_available"] == "0":
            card.tear()
    await armed.board.power_on()
    await armed.board.ended("validate", "done")
    await armed.board.ended("commit", "done")
    end = await armed.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("cut_commit", armed, end)
