"""ROLLBACK: undoes an attempt that was not committed. It was journalled, with its cause, before it writes anything."""

from __future__ import annotations

from otad.bootenv import BootClass, BootStatus, Slot, classify
from otad.errors import BootEnvironmentError, OtadError
from otad.ports import Ports
from otad.statemachine import Attempt, Kind, Outcome, Record, Step


async def run(record: Record, ports: Ports) -> Step:
    """DONE in the boot in which the goal runs; BOOT on the way there; FAILED when the environment cannot be written."""
    goal = record.the_goal
    try:
        status = ports.boot.status()
        if status.booted is goal:
            return await _settle(record, goal, status, ports)
        found = await ports.witness.collect(record.attempt, record.cause, this_boot=True)
        _select(goal, ports, counted=status.trial)
        await ports.host.stop()
        await ports.host.sync()
        await ports.host.reboot()
    except OtadError as error:
        await ports.host.start()  # no reboot came, and this run or an earlier one may have stopped them
        return Step.failed(error)
    return Step(Outcome.BOOT, record.cause, evidence=found)


def _select(goal: Slot, ports: Ports, *, counted: bool) -> None:
    """Select the goal. When that cannot be written while a trial runs, its boots run out: rebooting leads there as well."""
    try:
        ports.boot.rollback(goal)
    except BootEnvironmentError:
        if not counted:
            raise


async def _settle(record: Record, goal: Slot, status: BootStatus, ports: Ports) -> Step:
    """The goal runs: disarm, run its own applications, keep the evidence, and say why it came back."""
    try:
        if status.trial or status.failed or status.selected is not goal:  # else it would only cost the goal its fallback
            ports.boot.rollback(goal, _untried(record.attempt, status))
    finally:  # the goal's own set runs again, whatever the environment says
        if record.attempt and record.attempt.target is None:
            there = ports.generations.at(goal)
            await ports.host.stop()
            ports.generations.activate(there.number if there else None)
        await ports.host.start()
    found = await ports.witness.collect(record.attempt, record.cause, this_boot=False)
    ports.generations.collect()
    return Step(Outcome.DONE, record.cause, evidence=found)


def _untried(attempt: Attempt | None, status: BootStatus) -> Slot | None:
    """The slot of a revert whose reboot never came: as good as it was when it was the fallback."""
    armed = classify(status) is BootClass.ARMED
    return attempt.target if attempt and attempt.kind is Kind.REVERT and armed else None
