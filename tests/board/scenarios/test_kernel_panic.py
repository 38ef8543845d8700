"""The new kernel panics on its way up. In the field: a driver that does not suit the board."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

PANIC = b"[Service]\nExecStartPre=/bin/sh -c 'echo c > /proc/sysrq-trigger'\n"


async def test_three_panics_later_the_old_slot_is_back(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/etc/systemd/system/otad-data.service.d/panic.conf": PANIC})
    await armed.board.power_on()
    began = await armed.resets()
    for _ in range(3):
        await armed.board.until("Kernel panic - not syncing")
    await armed.falls_back()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert armed.cause("1.1.0")["code"] == "boot-failed"
    assert armed.evidence("1.1.0")["watchdog"] == "the hardware watchdog did not act"
    record("panic", armed, end, since=began)
