"""Faults of the states: steps left out, or in another order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from otad.bootenv import BootStatus, Slot
from otad.formats.release import Release
from otad.payload import Installed
from otad.ports import Ports
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step
from otad.states import RUN, commit, install, rollback, validate, verify
from simulator.sweep.mutants import Mutant

Run = Callable[[Record, Ports], Awaitable[Step]]


def state(of: State, run: Run) -> AbstractContextManager[object]:
    """A state does something else."""
    return patch.dict(RUN, {of: run})


class Without:
    """A port of which some calls do nothing."""

    def __init__(self, port: object, *calls: str) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name not in self._calls:
            return found
        return _nothing_async if name in {"start", "stop", "still", "sync"} else _nothing


def _nothing(*_: object) -> None:
    return None


async def _nothing_async(*_: object) -> None:
    return None


def without(of: State, port: str, *calls: str) -> AbstractContextManager[object]:
    """A state whose calls of a port do nothing."""
    run = RUN[of]

    async def mutant(record: Record, ports: Ports) -> Step:
        changed: dict[str, Any] = {port: Without(getattr(ports, port), *calls)}
        return await run(record, replace(ports, **changed))

    return state(of, mutant)


async def healthy(_: Record, __: Ports) -> Step:
    """Nothing is examined."""
    return Step(Outcome.DONE)


async def pointer_before_commit(record: Record, ports: Ports) -> Step:
    """The slot points at the new generation before it was validated."""
    attempt = record.the_attempt
    if attempt.target is None:
        ports.generations.point(record.home, attempt.the_generation)
    return await validate.run(record, ports)


async def whole_before_written(attempt: Attempt, release: Release, slot: Slot, ports: Ports) -> Step:
    """The slot points at its generation before it is written."""
    if attempt.target:
        ports.boot.retire()
        image = Installed(release.version, "0" * 64, 1)
        made = ports.generations.create(attempt, release, (image,))
        ports.generations.point(attempt.target, made.number)
        attempt = replace(attempt, generation=made.number)
        await ports.delivery.install(attempt, release, slot)
        return Step(Outcome.DONE, attempt=attempt)
    return await _write(attempt, release, slot, ports)


async def arms_first(record: Record, ports: Ports) -> Step:
    """INSTALL arms before it writes."""
    target = record.the_attempt.target
    if target:
        ports.boot.arm(target)
    return await install.run(record, ports)


async def arms_here(record: Record, ports: Ports) -> Step:
    """The slot that runs is armed."""
    ports.boot.arm(record.home)
    await ports.host.reboot()
    return Step(Outcome.BOOT)


async def settles_nothing(record: Record, goal: Slot, status: BootStatus, ports: Ports) -> Step:
    """ROLLBACK ends without a word to the environment."""
    del status
    return await _settle(record, goal, replace(_calm(ports), selected=goal), ports)


def _calm(ports: Ports) -> BootStatus:
    return replace(ports.boot.status(), trial=False, failed=None)


async def commit_without_proof(record: Record, ports: Ports) -> Step:
    """VALIDATE confirms by itself, before the checks."""
    if record.the_attempt.target:
        ports.boot.confirm()
    return await validate.run(record, ports)


async def unmarked(record: Record, ports: Ports) -> Step:
    """COMMIT of applications does not move the pointer."""
    return Step(Outcome.DONE) if record.the_attempt.target is None else await commit.run(record, ports)


async def anything_is_staged(record: Record, ports: Ports) -> Step:
    """VERIFY takes the other slot for the release, whatever it holds."""
    attempt = record.the_attempt
    if attempt.kind is Kind.UPDATE and attempt.target:
        return Step(Outcome.STAGED, attempt=replace(attempt, generation=attempt.generation or 1))
    return await verify.run(record, ports)


_write, _settle = install._write, rollback._settle  # noqa: SLF001  # what is mutated is private

MUTANTS = (
    Mutant(
        "fallback is written",
        "INSTALL does not retire the fallback before it writes it",
        lambda: without(State.INSTALL, "boot", "retire"),
    ),
    Mutant(
        "half a slot is pointed at",
        "INSTALL leaves the pointer to what it overwrites",
        lambda: without(State.INSTALL, "generations", "unpoint"),
    ),
    Mutant(
        "pointed at before written",
        "INSTALL points at the slot first and writes then",
        lambda: patch.object(install, "_write", whole_before_written),
    ),
    Mutant("armed before written", "INSTALL arms the slot that it is about to write", lambda: state(State.INSTALL, arms_first)),
    Mutant("arms what runs", "REBOOT arms the slot that runs", lambda: state(State.REBOOT, arms_here)),
    Mutant("never arms", "REBOOT reboots without arming", lambda: without(State.REBOOT, "boot", "arm")),
    Mutant(
        "held without applications",
        "a pause in REBOOT leaves the applications stopped",
        lambda: without(State.REBOOT, "host", "start"),
    ),
    Mutant("nothing is examined", "VALIDATE takes every release for healthy", lambda: state(State.VALIDATE, healthy)),
    Mutant(
        "confirmed before examined", "VALIDATE confirms before the checks", lambda: state(State.VALIDATE, commit_without_proof)
    ),
    Mutant(
        "other applications are examined",
        "VALIDATE examines what ran before",
        lambda: without(State.VALIDATE, "generations", "activate"),
    ),
    Mutant(
        "pointer moved before COMMIT",
        "the slot points at new applications before they were validated",
        lambda: state(State.VALIDATE, pointer_before_commit),
    ),
    Mutant("never confirmed", "COMMIT does not write the environment", lambda: without(State.COMMIT, "boot", "confirm")),
    Mutant(
        "applications are not kept",
        "COMMIT does not move the pointer to the new applications",
        lambda: state(State.COMMIT, unmarked),
    ),
    Mutant(
        "rollback leaves the environment",
        "ROLLBACK ends without clearing what was given up",
        lambda: patch.object(rollback, "_settle", settles_nothing),
    ),
    Mutant(
        "what was armed stays a fallback",
        "ROLLBACK leaves the slot of an update whose reboot never came as the fallback, as that of a revert",
        lambda: patch.object(rollback, "_untried", lambda attempt, _status: attempt and attempt.target),
    ),
    Mutant(
        "bad applications stay",
        "ROLLBACK does not bring the old applications back",
        lambda: without(State.ROLLBACK, "generations", "activate"),
    ),
    Mutant(
        "rollback without applications",
        "ROLLBACK leaves the applications stopped",
        lambda: without(State.ROLLBACK, "host", "start"),
    ),
    Mutant(
        "anything is staged",
        "VERIFY takes the other slot for the release, whatever it holds",
        lambda: state(State.VERIFY, anything_is_staged),
    ),
)
