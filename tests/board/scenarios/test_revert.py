"""Somebody undoes a release that was confirmed: `otactl rollback`."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_the_old_slot_is_tried_and_confirmed(committed: Field, record: Record) -> None:
    await committed.board.power_on()
    await committed.board.booted()
    await committed.board.run("otactl rollback --no-wait")
    await committed.resets()
    end = await committed.settles()
    assert (end.slot, end.running, end.results[0]) == ("A", "1.0.0", ("of the factory", "committed"))
    record("revert", committed, end)


async def test_an_old_slot_that_is_bad_by_now_is_left_again(committed: Field, record: Record) -> None:
    with inserted(committed.board.card) as card:
        card.put("a", {"/boot/Image": None})
    await committed.board.power_on()
    await committed.board.booted()
    await committed.board.run("otactl rollback --no-wait")
    await committed.falls_back()
    end = await committed.settles()
    assert (end.slot, end.running, end.results[0][1]) == ("B", "1.1.0", "failed")
    record("revert_bad", committed, end)
