"""The boot environment is damaged."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_one_torn_copy_costs_nothing(committed: Field, record: Record) -> None:
    """The power goes while a stable boot is counted, or its count cleared: the copy before that is of a stable boot as well."""
    await committed.board.power_on()
    assert await committed.board.booted() == "B"
    await committed.board.cut()
    with inserted(committed.board.card) as card:
        card.tear()
    await committed.board.power_on()
    end = await committed.settles()
    assert (end.slot, end.running, end.env["otad_boots"]) == ("B", "1.1.0", "0")
    record("environment_torn", committed, end)


async def test_blank_while_b_is_stable(committed: Field, record: Record) -> None:
    """U-Boot takes its built-in default, slot A; otad knows better, and goes back to B."""
    with inserted(committed.board.card) as card:
        card.blank()
    await committed.board.power_on()
    assert await committed.board.booted() == "A"
    await committed.resets()
    end = await committed.settles()
    assert (end.slot, end.running) == ("B", "1.1.0")
    assert (end.env["boot_partition"], end.env["upgrade_available"]) == ("B", "0")
    record("environment_blank", committed, end)
