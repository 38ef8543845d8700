"""No battery keeps the clock: it says 1970."""

from __future__ import annotations

import time

from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

LONG_AGO = "1970-01-01T00:00:00"
MONTH = 30 * 86400


async def test_a_release_is_found_and_taken(settled: Field, record: Record) -> None:
    """The repository's certificate and metadata are not valid yet, as the device sees it (systemd begins with its own date)."""
    settled.board.clock = LONG_AGO
    await settled.board.power_on()
    assert await settled.board.booted() == "A"
    assert int((await settled.board.run("date +%s")).out) < time.time() - MONTH
    await settled.takes()
    end = await settled.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("clock_1970_whole", settled, end)


async def test_a_trial_is_judged_all_the_same(armed: Field, record: Record) -> None:
    armed.board.clock = LONG_AGO
    await armed.board.power_on()
    await armed.board.ended("commit", "done")
    end = await armed.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("clock_1970", armed, end)
