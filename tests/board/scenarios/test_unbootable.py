"""A release that U-Boot cannot load: its kernel is missing. In the field: a broken build, a slot that lost a block."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_the_old_slot_is_back_after_three_tries(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/boot/Image": None})
    await armed.board.power_on()
    began = await armed.resets()
    await armed.falls_back()
    end = await armed.settles()

    assert len(armed.board.console.all("Failed to load '/boot/Image'")) == 3
    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert (end.env["boot_partition"], end.env["upgrade_available"], end.env["otad_fallback"]) == ("A", "0", "")
    cause = armed.cause("1.1.0")
    assert (cause["code"], cause["who"]) == ("boot-failed", "integrator")
    assert armed.evidence("1.1.0")["watchdog"] == "the hardware watchdog did not act"
    record("unbootable", armed, end, since=began)
