"""Faults that no device can tell: something else keeps the promise too. They must survive, or they belong elsewhere."""

from __future__ import annotations

from otad.ports import Ports
from otad.statemachine import Outcome, Record, State, Step
from simulator.sweep.mutants import Mutant
from simulator.sweep.mutants.acts import state, without
from simulator.sweep.mutants.meaning import settled


async def confirms_what_runs(record: Record, ports: Ports) -> Step:
    """COMMIT does not ask which slot runs."""
    if record.the_attempt.target is None:
        ports.generations.point(record.home, record.the_attempt.the_generation)
    elif ports.boot.status().trial:
        ports.boot.confirm()
    ports.generations.collect()
    return Step(Outcome.DONE)


MUTANTS = (
    Mutant(
        "lost trial validates",
        "a trial that did not boot is validated in the old slot (rule 14)",
        lambda: settled(14, lambda _: State.VALIDATE),
        "COMMIT does not confirm a slot that is not the target, and undoes the attempt: the same end, a state later",
    ),
    Mutant(
        "COMMIT asks not what runs",
        "COMMIT confirms whatever slot runs",
        lambda: state(State.COMMIT, confirms_what_runs),
        "resume() leads to COMMIT in the target's own boot only (rules 4 and 9)",
    ),
    Mutant(
        "INSTALL asks nothing",
        "INSTALL does not ask whether the target may be written",
        lambda: without(State.INSTALL, "slots", "guard"),
        "resume() leads to INSTALL in a stable boot of home only (rules 10 and 12), and VERIFY has asked",
    ),
)
