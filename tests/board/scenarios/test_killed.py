"""otad is killed between the arming write and the reboot. In the field: out of memory, somebody's `kill -9`."""

from __future__ import annotations

from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

SLOW = '[reboot]\\nsystemctl = ["/bin/sh", "-c", "exec sleep 1000"]\\n'  # neither stops nor reboots anything


async def test_it_goes_on_where_it_was(settled: Field, record: Record) -> None:
    await settled.board.power_on()
    await settled.board.booted()
    await settled.board.run(f"printf '{SLOW}' > /data/otad/conf.d/slow.toml; systemctl restart otad")
    await settled.takes()
    await settled.board.ended("install", "done")
    await settled.board.holds("fw_printenv -n upgrade_available | test $(cat) = 1")
    await settled.board.run("rm /data/otad/conf.d/slow.toml; systemctl kill -s KILL otad.service")
    await settled.board.journal.until(r"rule 6, reboot")
    await settled.resets()
    end = await settled.settles()
    assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])
    record("killed", settled, end)
