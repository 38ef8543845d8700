"""A good release: the trial boots, proves itself, and is confirmed."""

from __future__ import annotations

from collections import Counter

from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_it_is_tried_confirmed_and_told(armed: Field, measured: Counter[str], record: Record) -> None:
    await armed.board.power_on()
    began = await armed.resets()
    validated = await armed.board.ended("validate", "done")
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    assert (end.env["boot_partition"], end.env["upgrade_available"], end.env["otad_fallback"]) == ("B", "0", "A")
    (told,) = armed.fleet.told("commit", "1.1.0")
    assert (told["outcome"], told["booted"], told["running"]) == ("done", "B", "1.1.0")
    measured.update(boot_to_validated_s=round(validated.at - began), downtime_s=round(armed.down_s(end)))
    record("good", armed, end)
