"""The new release runs and is not well. In the field: a model that gives nonsense, a service that does not come up."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_the_release_judges_itself_and_goes_back(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/etc/health": b"its model gives nonsense\n"})
    await armed.board.power_on()
    began = await armed.resets()
    await armed.board.ended("validate", "failed")
    await armed.resets()
    end = await armed.settles()

    assert (end.slot, end.running, end.results) == ("A", "1.0.0", [("1.1.0", "failed")])
    assert (end.env["boot_partition"], end.env["upgrade_available"], end.env["otad_fallback"]) == ("A", "0", "")
    cause = armed.cause("1.1.0")
    assert (cause["code"], cause["evidence"]["check"]) == ("check-failed", "application")
    assert "validate: failed" in armed.evidence("1.1.0")["log"]
    record("unhealthy", armed, end, since=began)
