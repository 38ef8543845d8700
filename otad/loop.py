"""The loop: run a state, advance, save, and so on until the device sleeps or reboots.

Rules:
 1. The record is saved before the state that it names runs; a transition and its event are one transaction.
 2. A person interrupts only what may be interrupted (`INTERRUPTIBLE`), by cancelling it at an await.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from otad.ports import Ports
from otad.statemachine import INTERRUPTIBLE, Outcome, Record, Step, advance
from otad.states import RUN


class Book(Protocol):
    """Where transitions are kept."""

    def turn(self, before: Record, step: Step, after: Record) -> None:
        """Save `after` with the event of this transition, durably. Raises JournalError when it cannot be kept."""


async def drive(record: Record, ports: Ports, book: Book) -> Step:
    """Run from `record` until SLEEP or BOOT; the step that ended it."""
    while True:
        step = await _run(record, ports)
        if step.outcome is Outcome.SLEEP:
            return step
        after = advance(record, step)
        book.turn(record, step, after)
        if step.outcome is Outcome.BOOT:
            return step
        record = after


async def _run(record: Record, ports: Ports) -> Step:
    """The state's own step, or a person's if that comes first."""
    running = asyncio.ensure_future(RUN[record.state](record, ports))
    if record.state not in INTERRUPTIBLE:
        return await running
    person = asyncio.ensure_future(ports.orders.interrupted(record))
    try:
        await asyncio.wait({running, person}, return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else person.result()
    finally:
        for task in (running, person):
            task.cancel()
        await asyncio.gather(running, person, return_exceptions=True)  # both ended: nothing of the state runs on
