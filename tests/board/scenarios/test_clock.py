"""No battery keeps the clock: it says 1970."""

from __future__ import annotations

from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_a_trial_is_judged_all_the_same(armed: Field, record: Record) -> None:
    armed.board.clock = "1970-01-01T00:00:00"
    await armed.board.power_on()
    await armed.board.ended("commit", "done")
    end = await armed.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("clock_1970", armed, end)
