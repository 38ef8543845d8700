"""The network is gone for a while, in the middle of a download."""

from __future__ import annotations

from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

FETCHED = "test $(du -sm /data/updates | cut -f1) -gt 20"


async def test_it_goes_on_where_it_was_when_the_link_is_back(settled: Field, record: Record) -> None:
    await settled.board.power_on()
    assert await settled.board.booted() == "A"
    await settled.takes()
    await settled.board.holds(FETCHED)
    await settled.board.plug(network=False)
    await settled.board.run("sleep 90")  # longer than download.timeout
    await settled.board.plug(network=True)
    end = await settled.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    assert [event["outcome"] for event in settled.fleet.told("download")] == ["done"]
    record("link", settled, end)
