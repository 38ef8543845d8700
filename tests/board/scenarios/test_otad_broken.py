"""A release in which otad itself does not start: nothing in it can judge it, or undo it. otad-deadline reboots, U-Boot counts."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

BROKEN = {"/usr/bin/otad": b"#!/bin/sh\nexit 1\n", "/etc/otad/deadline": b"OTAD_DEADLINE=120\n"}


async def test_three_deadlines_later_the_old_slot_is_back(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", BROKEN)
    await armed.board.power_on()
    began = await armed.resets()
    for _ in range(3):
        await armed.board.journal.until("this trial was not confirmed within 120 s of boot: rebooting")
    await armed.falls_back()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert (end.env["boot_partition"], end.env["upgrade_available"]) == ("A", "0")
    assert armed.cause("1.1.0")["code"] == "boot-failed"
    assert "not confirmed within 120 s" in armed.evidence("1.1.0")["log"]
    record("otad_broken", armed, end, since=began)
