"""The loop: run a state, advance, save, and so on until the device sleeps or reboots.

Rules:
 1. The record is saved before the state that it names runs; a transition and its event are one transaction.
 2. What goes wrong ends the state, never the process: an unexpected fault is a failure of the attempt.
 3. A person interrupts only what may be interrupted (`INTERRUPTIBLE`), by cancelling it at an await. When it then says
    that something must be undone, that comes before the person's word.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from otad.errors import Cause, Who
from otad.ports import Ports
from otad.statemachine import INTERRUPTIBLE, TABLE, Outcome, Record, State, Step, advance
from otad.states import RUN

FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What engines do not raise on purpose. A loop of restarts would write the slot again and again."""

log = logging.getLogger(__name__)


class Book(Protocol):
    """Where transitions are kept."""

    def turn(self, before: Record, step: Step, after: Record) -> None:
        """Save `after` with the event of this transition, durably. Raises JournalError when it cannot be kept."""


async def drive(record: Record, ports: Ports, book: Book) -> Step:
    """Run from `record` until SLEEP or BOOT; the step that ended it."""
    while True:
        step = await _guarded(record, ports)
        if step.outcome is Outcome.SLEEP:
            return step
        after = advance(record, step)
        book.turn(record, step, after)
        if step.outcome is Outcome.BOOT:
            return step
        record = after


async def _guarded(record: Record, ports: Ports) -> Step:
    """The state's step; a fault of otad's own ends the state as FAILED, counted like any other, and not the process."""
    try:
        return await _run(record, ports)
    except FAULTS as error:
        if Outcome.FAILED not in TABLE[record.state]:
            raise
        log.exception("%s", record.state.value)
        what = f"otad stumbled in {record.state.value}: {type(error).__name__}: {error}"
        return Step(Outcome.FAILED, Cause("internal", what, "Report it with `journalctl -u otad`", Who.OS_BUILDER))


async def _run(record: Record, ports: Ports) -> Step:
    """The state's own step, or a person's if that comes first."""
    running = asyncio.ensure_future(RUN[record.state](record, ports))
    if record.state not in INTERRUPTIBLE:
        return await running
    person = asyncio.ensure_future(ports.orders.interrupted(record))
    try:
        await asyncio.wait({running, person}, return_when=asyncio.FIRST_COMPLETED)
        ended = running if running.done() else person
    finally:
        for task in (running, person):
            task.cancel()
        said, _ = await asyncio.gather(running, person, return_exceptions=True)  # both ended: nothing of the state runs on
    return running.result() if _to_undo(record, said) else ended.result()


def _to_undo(record: Record, said: object) -> bool:
    """Whether a state, stopped or not, `said` that what happened must be undone."""
    return isinstance(said, Step) and TABLE[record.state].get(said.outcome) is State.ROLLBACK
