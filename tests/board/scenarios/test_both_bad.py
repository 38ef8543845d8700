"""The old slot turns out to be bad, right after the new one was given up."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record


async def test_recovery_is_next(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/boot/Image": None})
        card.put("a", {"/boot/Image": None})
    await armed.board.power_on()
    began = await armed.resets()
    await armed.falls_back()
    record("both_bad", armed, await armed.gives_up(), since=began)
