"""The old slot turns out to be bad, right after the new one was given up."""

from __future__ import annotations

from simulator.qemu.cardreader import inserted
from simulator.qemu.field import Field


async def test_recovery_is_next(armed: Field) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/boot/Image": None})
        card.put("a", {"/boot/Image": None})
    await armed.board.power_on()
    await armed.falls_back()
    await armed.board.until("otad recovery: ")
