"""The new root file system is rotten: U-Boot loads its kernel, and nothing runs from it. In the field: worn-out flash."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_what_cannot_run_is_left_after_three_tries(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/lib/aarch64-linux-gnu/libc.so.6": b"\0" * 4096})
    await armed.board.power_on()
    began = await armed.resets()
    for _ in range(3):
        await armed.board.until("Attempted to kill init")
    await armed.falls_back()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert armed.cause("1.1.0")["code"] == "boot-failed"
    record("root_corrupt", armed, end, since=began)


async def test_a_file_system_without_a_head_is_left_as_well(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.wipe("b")
    await armed.board.power_on()
    began = await armed.resets()
    await armed.falls_back()
    end = await armed.settles()
    assert (end.slot, end.results) == ("A", [("1.1.0", "failed")])
    record("root_wiped", armed, end, since=began)
