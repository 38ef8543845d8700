"""Faults of what is stored: boot environment, boot scripts, journal and book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from unittest.mock import patch

from otad.book import TransitionBook
from otad.bootenv import BootClass, Slot, uboot
from otad.journal import Attempts, Journal, Tries
from otad.journal.record import Records
from otad.orders import Orders
from otad.resume import Resumed
from otad.statemachine import Record, Step
from simulator import bootloader
from simulator.bootloader import Boot, Env, Loads
from simulator.sweep import graph
from simulator.sweep.kept import Effects
from simulator.sweep.mutants import Mutant

_arm, _confirm, _rollback = uboot.arm, uboot.confirm, uboot.rollback
_altbootcmd, _bootcmd = bootloader._altbootcmd, bootloader._bootcmd  # noqa: SLF001  # what is mutated is private
_open, _learnt, _tries = TransitionBook.open, TransitionBook._learnt, TransitionBook._tries  # noqa: SLF001


def leaves_out(change: str, *names: str) -> AbstractContextManager[object]:
    """One of the changes of the environment leaves out variables."""
    whole = getattr(uboot, change)

    def mutant(*slots: Slot | None) -> uboot.Change:
        return {name: value for name, value in whole(*slots).items() if name not in names}

    return patch.object(uboot, change, mutant)


def writes(change: str, **values: str) -> AbstractContextManager[object]:
    """One of the changes of the environment writes something else."""
    whole = getattr(uboot, change)
    return patch.object(uboot, change, lambda *slots: {**whole(*slots), **values})


def flips(env: Env, loads: Loads, stores: tuple[Env, ...], *, recovery: bool) -> Boot:
    """Altbootcmd takes the other slot each time."""
    other = "A" if env.boot_partition == "B" else "B"
    return _altbootcmd(env._replace(otad_fallback=other, otad_rollback=""), loads, stores, recovery=recovery)


def uncounted(env: Env, loads: Loads, stores: tuple[Env, ...], *, recovery: bool) -> Boot:
    """Stable boots are not counted."""
    found = _bootcmd(env._replace(otad_boots="0"), loads, stores, recovery=recovery)
    return found._replace(stores=tuple(store._replace(otad_boots="0") for store in found.stores))


def opens_without_refusing(book: TransitionBook, before: Record | None, resumed: Resumed, kind: BootClass) -> None:
    """A release that fell back is not refused."""
    with patch.object(TransitionBook, "_tries", lambda *_, **__: None):
        _open(book, before, resumed, kind)


def refuses_apart(journal: Journal, record: Record, *events: object, tries: Tries | None = None) -> None:
    """The refusal is a transaction of its own, after the transition's."""
    del events
    journal._records.save(record)  # noqa: SLF001
    if tries:
        journal.attempts.save(tries)


@contextmanager
def no_transaction(connection: Effects) -> Iterator[None]:
    """Every change is its own commit."""
    del connection
    yield


def never_final(book: TransitionBook, record: Record, step: Step, *, final: bool) -> Tries | None:
    """A release that failed on trial may be tried again."""
    del final
    return _tries(book, record, step, final=False)


def undone_may_return(book: TransitionBook, before: Record, step: Step, after: Record) -> Tries | None:
    """A release that was undone after its commit is not refused."""
    found = _learnt(book, before, step, after)
    return None if step.outcome.value == "revert" else found


def no_plan(orders: Orders, before: Record, step: Step, after: Record, retry_at: object) -> None:
    """When to look again is not written down."""


def patience(tries: Tries, *_: object, **__: object) -> Tries:
    """A failure is counted, and never leads to a refusal."""
    return replace(tries, failures=tries.failures + 1)


def method(of: type, name: str, mutant: Callable[..., object]) -> AbstractContextManager[object]:
    """A method does something else."""
    return patch.object(of, name, mutant)


MUTANTS = (
    Mutant("count of the trial is not reset", "arm leaves bootcount as it is", lambda: leaves_out("arm", "bootcount")),
    Mutant("count of the slot is not reset", "arm leaves otad_boots as it is", lambda: leaves_out("arm", "otad_boots")),
    Mutant("armed without a way back", "arm names no fallback", lambda: leaves_out("arm", "otad_fallback")),
    Mutant(
        "falls back to itself",
        "arm names the target as its own fallback",
        lambda: patch.object(uboot, "arm", lambda t, _: _arm(t, t)),
    ),
    Mutant("armed without a trial", "arm selects the slot for good", lambda: writes("arm", upgrade_available="0")),
    Mutant("confirm leaves the trial", "confirm does not end the trial", lambda: leaves_out("confirm", "upgrade_available")),
    Mutant("confirm leaves the count", "confirm does not clear bootcount", lambda: leaves_out("confirm", "bootcount")),
    Mutant("confirm drops the fallback", "confirm leaves no slot to fall back to", lambda: writes("confirm", otad_fallback="")),
    Mutant("rollback leaves the trial", "rollback does not end the trial", lambda: leaves_out("rollback", "upgrade_available")),
    Mutant("rollback selects nothing", "rollback does not select its goal", lambda: leaves_out("rollback", "boot_partition")),
    Mutant(
        "rollback keeps the bad slot as fallback",
        "rollback leaves the failed slot as fallback",
        lambda: patch.object(
            uboot, "rollback", lambda goal, booted, _keep: {**_rollback(goal, booted), "otad_fallback": goal.other.value}
        ),
    ),
    Mutant("given up for ever", "rollback leaves otad_rollback", lambda: leaves_out("rollback", "otad_rollback")),
    Mutant("nothing retires", "retire leaves the fallback", lambda: patch.object(uboot, "RETIRE", {})),
    Mutant(
        "a flip in place of the fallback",
        "altbootcmd takes the other slot each time it is run",
        lambda: patch.object(bootloader, "_altbootcmd", flips),
    ),
    Mutant(
        "no turns after recovery",
        "recovery tries the same slot each time",
        lambda: patch.object(graph, "retry", lambda env: env._replace(bootcount="0", otad_boots="0")),
    ),
    Mutant(
        "stable boots are not counted",
        "a slot that stops working is booted for ever",
        lambda: patch.object(bootloader, "_bootcmd", uncounted),
    ),
    Mutant(
        "a release that fell back is not refused",
        "the next check brings it again",
        lambda: method(TransitionBook, "open", opens_without_refusing),
    ),
    Mutant(
        "transition and refusal apart",
        "a cut between them forgets the refusal",
        lambda: method(Effects, "transaction", no_transaction),
    ),
    Mutant(
        "a failed trial may be repeated",
        "a release that failed on trial is only counted",
        lambda: method(TransitionBook, "_tries", never_final),
    ),
    Mutant(
        "an undone release returns",
        "a release that was undone in probation is offered again",
        lambda: method(TransitionBook, "_learnt", undone_may_return),
    ),
    Mutant("always due", "the next check is not planned", lambda: method(Orders, "plan", no_plan)),
    Mutant("endless patience", "a release that cannot be installed is never refused", lambda: method(Tries, "failed", patience)),
    Mutant(
        "refusals are not kept",
        "what was learnt about a release is not written",
        lambda: method(Attempts, "save", lambda *_: None),
    ),
    Mutant("no memory", "the record is never found", lambda: method(Records, "load", lambda _: None)),
    Mutant("nothing is saved", "the record is written once and never again", lambda: method(Records, "save", lambda *_: None)),
)
