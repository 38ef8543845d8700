"""PID 1 of the new release stops for good. Nothing in Linux is left to act: the hardware watchdog is."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

HANG = b"[Service]\nExecStartPre=/bin/kill -SEGV 1\n"


async def test_the_watchdog_resets_and_the_report_says_so(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/etc/systemd/system/otad-data.service.d/hang.conf": HANG})
    await armed.board.power_on()
    began = await armed.resets()
    for _ in range(3):
        await armed.board.journal.until("Freezing execution")
        await armed.resets()
    await armed.falls_back()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert armed.evidence("1.1.0")["watchdog"] == "the hardware watchdog reset the board"
    record("init_hangs", armed, end, since=began)


async def test_a_slot_that_was_confirmed_comes_back(committed: Field, record: Record) -> None:
    await committed.board.power_on()
    assert await committed.board.booted() == "B"
    hung = await committed.board.hang()
    await committed.resets()
    end = await committed.settles()
    assert (end.slot, end.running, end.env["otad_boots"]) == ("B", "1.1.0", "0")
    record("stable_hangs", committed, end, since=hung)
