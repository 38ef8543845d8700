"""Faults of the state machine and of the loop."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

from otad import loop, statemachine
from otad.bootenv import Slot
from otad.ports import Ports
from otad.statemachine import Outcome, Record, State, Step, advance
from simulator.sweep import turns
from simulator.sweep.mutants import Mutant

_settled = statemachine._settled  # noqa: SLF001  # what is mutated is private


def edge(state: State, outcome: Outcome, to: State) -> AbstractContextManager[object]:
    """One edge of TABLE leads elsewhere."""
    return patch.dict(statemachine.TABLE, {state: {**statemachine.TABLE[state], outcome: to}})


def home_stays(record: Record, step: Step) -> Slot:
    """COMMIT does not move home."""
    return record.home if record.state is State.COMMIT else _settled(record, step)


def home_runs_ahead(record: Record, step: Step) -> Slot:
    """Home is the target of whatever ends."""
    target = record.attempt.target if record.attempt else None
    return target or _settled(record, step)


def home_stays_after_rollback(record: Record, step: Step) -> Slot:
    """ROLLBACK does not move home."""
    return record.home if record.state is State.ROLLBACK else _settled(record, step)


def goal_is_the_target(record: Record, step: Step) -> Record:
    """A rollback makes for the slot that failed."""
    after = advance(record, step)
    fresh = after.state is State.ROLLBACK and record.state is not State.ROLLBACK
    return replace(after, goal=after.attempt.target or after.goal) if fresh and after.attempt else after


def attempt_forgets(record: Record, step: Step) -> Record:
    """What a state learnt about the attempt is not carried on."""
    return advance(record, replace(step, attempt=None) if record.attempt else step)


async def act_then_save(record: Record, ports: Ports, book: loop.Book) -> Step:
    """The next state runs before the transition to it is saved."""
    step = await loop._guarded(record, ports)  # noqa: SLF001
    if step.outcome is Outcome.SLEEP:
        return step
    after = advance(record, step)
    if after.state is not State.IDLE:
        await loop._guarded(after, ports)  # noqa: SLF001
    book.turn(record, step, after)
    return step


MUTANTS = (
    Mutant(
        "sick is committed",
        "VALIDATE goes on to COMMIT although a check failed",
        lambda: edge(State.VALIDATE, Outcome.FAILED, State.COMMIT),
    ),
    Mutant(
        "failed commit is idle",
        "a confirmation that does not hold ends in IDLE: the trial stays armed",
        lambda: edge(State.COMMIT, Outcome.FAILED, State.IDLE),
    ),
    Mutant(
        "tampering is done",
        "a bundle that arms by itself goes on to REBOOT",
        lambda: edge(State.INSTALL, Outcome.TAMPERED, State.REBOOT),
    ),
    Mutant(
        "tampering is cancelled",
        "a person's word comes before what a bundle has armed",
        lambda: patch.object(loop, "_to_undo", lambda *_: False),
    ),
    Mutant(
        "install failed goes on",
        "INSTALL that failed goes on to REBOOT",
        lambda: edge(State.INSTALL, Outcome.FAILED, State.REBOOT),
    ),
    Mutant(
        "half decoded goes on",
        "a delta that breaks in INSTALL goes on to REBOOT",
        lambda: edge(State.INSTALL, Outcome.ANOTHER, State.REBOOT),
    ),
    Mutant("held goes on", "a pause in INSTALL goes on to REBOOT", lambda: edge(State.INSTALL, Outcome.HELD, State.REBOOT)),
    Mutant(
        "validate goes idle",
        "a healthy trial ends in IDLE and is never confirmed",
        lambda: edge(State.VALIDATE, Outcome.DONE, State.IDLE),
    ),
    Mutant("home stays", "home is not moved at COMMIT", lambda: patch.object(statemachine, "_settled", home_stays)),
    Mutant(
        "home runs ahead",
        "home is moved before anything is confirmed",
        lambda: patch.object(statemachine, "_settled", home_runs_ahead),
    ),
    Mutant(
        "home stays after a rollback",
        "home is not moved when a rollback has ended",
        lambda: patch.object(statemachine, "_settled", home_stays_after_rollback),
    ),
    Mutant("wrong goal", "a rollback makes for the slot that failed", lambda: patch.object(loop, "advance", goal_is_the_target)),
    Mutant(
        "forgetful attempt",
        "the generation that INSTALL made is not remembered",
        lambda: patch.object(loop, "advance", attempt_forgets),
    ),
    Mutant("save after act", "the next state runs before it is saved", lambda: patch.object(turns, "drive", act_then_save)),
)
