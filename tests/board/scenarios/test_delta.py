"""The first update of a device from the factory comes as a delta over the image that was flashed."""

from __future__ import annotations

import base64
from pathlib import Path

from simulator.qemu import shelf
from simulator.qemu.shelf import Moment
from tests.board.scenarios.conftest import Record, begun, taken


async def test_it_costs_what_changed(moment: Moment, tmp_path: Path, record: Record) -> None:
    fleet = moment.fleet(tmp_path / "fleet").moved()
    fleet.difference("1.0.0", "1.1.0")
    with fleet.serving():
        async with begun(taken(shelf.settled), fleet, tmp_path) as device:
            await device.board.power_on()
            await device.board.booted()
            settings = base64.b64encode(fleet.settings).decode()
            await device.board.run(f"echo {settings} | base64 -d > /data/otad/conf.d/fleet.toml; systemctl restart otad")
            await device.takes()
            end = await device.settles()

    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    (told,) = (event for event in fleet.told("download", "1.1.0") if event["outcome"] == "done")
    assert told["evidence"]["system"].startswith("delta, ")
    assert told["bytes"]["download"] < 1 << 20
    record("delta", device, end)
