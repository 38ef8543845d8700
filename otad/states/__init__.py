"""The states, one module each. A module holds `run` only: what the state does through the ports, in order, safe to run twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from otad.ports import Ports
from otad.statemachine import Record, State, Step
from otad.states import check, commit, download, idle, install, reboot, rollback, validate, verify

RUN: Mapping[State, Callable[[Record, Ports], Awaitable[Step]]] = {
    State.IDLE: idle.run,
    State.CHECK: check.run,
    State.DOWNLOAD: download.run,
    State.VERIFY: verify.run,
    State.INSTALL: install.run,
    State.REBOOT: reboot.run,
    State.VALIDATE: validate.run,
    State.COMMIT: commit.run,
    State.ROLLBACK: rollback.run,
}
