"""A slot that was confirmed long ago does not come up any more. In the field: flash wears out."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record
from tests.board.scenarios.test_power_cut import WRITTEN

PANIC = b"[Service]\nExecStartPre=/bin/sh -c 'echo c > /proc/sysrq-trigger'\n"
BOOTS = 8  # otad_bootlimit


async def test_after_eight_boots_the_slot_before_it_takes_over(committed: Field, record: Record) -> None:
    with inserted(committed.board.card) as card:
        card.put("b", {"/etc/systemd/system/otad-data.service.d/panic.conf": PANIC})
    await committed.board.power_on()
    began = await committed.resets()
    for _ in range(BOOTS):
        await committed.board.until("Kernel panic - not syncing")
    end = await committed.settles()

    assert (end.slot, end.running) == ("A", "1.0.0")
    assert (end.env["boot_partition"], end.env["otad_boots"]) == ("A", "0")
    assert committed.cause("1.1.0")["code"] == "boot-failed"
    record("stable_slot", committed, end, since=began)


async def test_an_install_that_was_cut_off_is_no_way_out(settled: Field, record: Record) -> None:
    """B is half written, and A then goes bad: U-Boot must not take B. It goes to recovery, and comes back."""
    await settled.board.power_on()
    await settled.board.booted()
    await settled.takes()
    await settled.board.ended("verify", "done")
    await settled.board.holds(WRITTEN)
    await settled.board.cut()
    with inserted(settled.board.card) as card:
        card.put("a", {"/boot/Image": None})
    await settled.board.power_on()
    began = await settled.resets()
    end = await settled.gives_up()
    assert end.env["otad_recovery_cause"].startswith("slot A did not come up, and no other ")
    assert "otad.slot=B" not in settled.board.console.text
    record("cut_install_then_bad", settled, end, since=began)


async def test_the_factory_left_nothing_in_b(settled: Field, record: Record) -> None:
    """A new board falls back to B once, by U-Boot's default; there is nothing, and recovery is next."""
    with inserted(settled.board.card) as card:
        card.put("a", {"/boot/Image": None})
    await settled.board.power_on()
    began = await settled.resets()
    end = await settled.gives_up()
    assert end.env["otad_recovery_cause"].startswith("slot A was given up, then slot B did not come up: ")
    record("factory_bad", settled, end, since=began)
