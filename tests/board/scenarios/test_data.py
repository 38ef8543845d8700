"""The data partition is full, or is no file system any more."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_full(settled: Field, record: Record) -> None:
    """The release is refused before a byte is fetched, with what is missing; and taken when there is room."""
    await settled.board.power_on()
    await settled.board.booted()
    assert (await settled.board.run("fallocate -l 540M /data/somebody-elses")).status == 0
    await settled.takes()
    failed = await settled.board.ended("download", r"(failed|rejected)")
    assert "bytes in /data/updates, where" in failed[0]
    await settled.board.run("rm /data/somebody-elses; otactl retry; otactl check --no-wait")
    await settled.board.ended("download", "done")
    end = await settled.settles()
    assert (end.slot, end.running, end.results[0]) == ("B", "1.1.0", ("1.1.0", "committed"))
    record("data_full", settled, end)


async def test_unmountable(settled: Field, record: Record) -> None:
    """No update can be remembered, so none is begun; but the device runs, and no boot counts against its slot."""
    with inserted(settled.board.card) as card:
        card.wipe("data")
    await settled.board.power_on()
    assert await settled.board.booted() == "A"
    await settled.board.holds("fw_printenv -n otad_boots | test $(cat) = 0")
    assert "data partition" in " ".join((await settled.board.run("otactl status")).out.split())
    await settled.board.cut()

    await settled.board.power_on()
    end = await settled.settles()
    assert (end.slot, end.running, end.history, end.env["otad_boots"]) == ("A", "1.0.0", [], "0")
    record("data_gone", settled, end)
