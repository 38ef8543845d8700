"""Faults of what a boot means: resume() and the marking of a boot as proven."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

from otad import resume as rules
from otad.bootenv import BootClass, BootEnvironment, BootStatus, Slot, classify
from otad.resume import Resumed, Ruling, resume
from otad.statemachine import Record, State
from simulator.sweep import turns
from simulator.sweep.mutants import Mutant

_unsettled, _settled = rules._unsettled, rules._settled  # noqa: SLF001  # what is mutated is private
First = Callable[[BootStatus], BootStatus]


def unsettled(rule: int, state: State) -> AbstractContextManager[object]:
    """One of rules 1 to 7 leads to `state`; ROLLBACK then makes for the other slot."""

    def ruled(now: Record, boot: BootStatus, kind: BootClass, booted: Slot, same: bool) -> Ruling:
        found = _unsettled(now, boot, kind, booted, same)
        goal = booted.other if state is State.ROLLBACK else None
        return (rule, state, goal) if found[0] == rule and (now.attempt or state is State.IDLE) else found

    return patch.object(rules, "_unsettled", ruled)


def settled(rule: int, change: Callable[[Record], State]) -> AbstractContextManager[object]:
    """One of rules 9 to 14 decides otherwise."""

    def ruled(now: Record, kind: BootClass, booted: Slot, pointer: int | None) -> Ruling:
        found = _settled(now, kind, booted, pointer)
        return (rule, change(now), None) if found[0] == rule else found

    return patch.object(rules, "_settled", ruled)


def resumed(change: Callable[[Record | None, Resumed], Resumed]) -> AbstractContextManager[object]:
    """What resume() says is changed."""

    def mutant(record: Record | None, boot: BootStatus | None, boot_id: str, pointer: int | None) -> Resumed:
        return change(record, resume(record, boot, boot_id, pointer))

    return patch.object(turns, "resume", mutant)


def journal_beats_truth(record: Record | None, found: Resumed) -> Resumed:
    """Whatever booted: where the journal was, it goes on."""
    return found if record is None else replace(found, record=replace(found.record, state=record.state, goal=record.goal))


def commit_is_not_validated(record: Record | None, found: Resumed) -> Resumed:
    """Rule 4 takes COMMIT to COMMIT."""
    again = record is not None and record.state is State.COMMIT and found.rule == 4  # noqa: PLR2004
    return replace(found, record=replace(found.record, state=State.COMMIT)) if again else found


def rollback_forgotten(record: Record | None, found: Resumed) -> Resumed:
    """A rollback that was interrupted is not gone on with where nothing else asks for it."""
    was = record is not None and record.state is State.ROLLBACK and found.rule == 3  # noqa: PLR2004
    return replace(found, record=Record(State.IDLE, found.record.home, found.record.boot_id)) if was else found


def no_limit(record: Record | None, found: Resumed) -> Resumed:
    """Starts are not counted."""
    return replace(found, record=replace(found.record, starts=record.starts)) if record else found


def never_proven(boot: BootEnvironment, first: First) -> tuple[BootStatus, BootStatus]:
    """Nothing clears the count of a stable boot."""
    status = boot.status()
    return first(status), status


def always_proven(boot: BootEnvironment, first: First) -> tuple[BootStatus, BootStatus]:
    """The count is cleared in a trial too."""
    began = first(boot.status())
    boot.proven()
    return began, boot.status()


def fell_is_stable(boot: BootStatus | None) -> BootClass:
    """That the boot loader fell back is not seen."""
    kind = classify(boot)
    return BootClass.STABLE if kind is BootClass.FELL else kind


def armed_is_stable(boot: BootStatus | None) -> BootClass:
    """That a trial is armed is not seen."""
    kind = classify(boot)
    return BootClass.STABLE if kind is BootClass.ARMED else kind


MUTANTS = (
    Mutant(
        "any trial validates", "a trial that nobody knows of is validated and confirmed", lambda: unsettled(5, State.VALIDATE)
    ),
    Mutant(
        "journal beats boot truth",
        "the machine goes on where the journal was, whatever booted",
        lambda: resumed(journal_beats_truth),
    ),
    Mutant(
        "COMMIT is not validated again",
        "a trial that was cut in COMMIT is confirmed in the next boot without a check",
        lambda: resumed(commit_is_not_validated),
    ),
    Mutant("trial goes idle", "a trial that nobody knows of is left alone", lambda: unsettled(5, State.IDLE)),
    Mutant("armed goes idle", "an armed trial that nobody knows of stays armed", lambda: unsettled(7, State.IDLE)),
    Mutant(
        "armed is not seen", "an armed trial passes for a stable boot", lambda: patch.object(rules, "classify", armed_is_stable)
    ),
    Mutant(
        "fall is not seen",
        "a fallback of the boot loader passes for a stable boot",
        lambda: patch.object(rules, "classify", fell_is_stable),
    ),
    Mutant("fall is wrong", "after a fallback the other slot is made for", lambda: unsettled(1, State.ROLLBACK)),
    Mutant("any slot is home", "a slot that is not home is taken for it (rule 10)", lambda: settled(10, lambda _: State.IDLE)),
    Mutant("install is over", "an interrupted INSTALL goes on in REBOOT (rule 12)", lambda: settled(12, lambda _: State.REBOOT)),
    Mutant(
        "applications are healthy",
        "an interrupted VALIDATE goes on in COMMIT (rule 13)",
        lambda: settled(13, lambda _: State.COMMIT),
    ),
    Mutant("no limit", "starts of otad in INSTALL are not counted", lambda: resumed(no_limit)),
    Mutant("rollback forgotten", "an interrupted rollback is not gone on with (rule 3)", lambda: resumed(rollback_forgotten)),
    Mutant(
        "IDLE never clears the count",
        "a stable boot is never marked as proven",
        lambda: patch.object(turns, "prove", never_proven),
    ),
    Mutant(
        "a trial is proven",
        "the boots of a trial are cleared as those of a stable slot",
        lambda: patch.object(turns, "prove", always_proven),
    ),
)
