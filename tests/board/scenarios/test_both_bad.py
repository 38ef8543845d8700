"""The old slot turns out to be bad, right after the new one was given up."""

from __future__ import annotations

import re

from otad.statemachine import State
from simulator.qemu.cardreader import inserted, looked_at
from simulator.qemu.field import Field
from tests.board.scenarios.conftest import Record

HALF_AN_HOUR = 1800


async def test_recovery_is_next(armed: Field, record: Record) -> None:
    with inserted(armed.board.card) as card:
        card.put("b", {"/boot/Image": None})
        card.put("a", {"/boot/Image": None})
    await armed.board.power_on()
    began = await armed.resets()
    await armed.falls_back()
    end = await armed.gives_up()
    assert end.env["otad_recovery_cause"].startswith("slot B was given up, then slot A did not come up: ")
    assert "otad_boots=9" in end.env["otad_recovery_cause"]
    record("both_bad", armed, end, since=began)
    left = re.search(r"The slots are tried again in (\d+) s", await armed.page())
    assert left
    assert HALF_AN_HOUR - 300 < int(left[1]) <= HALF_AN_HOUR

    await armed.board.cut()
    with looked_at(armed.board.card) as card:  # whoever comes finds in the journal what was tried
        assert card.broken("data") == ""
        found = card.remembers()
    assert found
    assert found.attempt
    assert (found.state, found.attempt.version) == (State.REBOOT, "1.1.0")
