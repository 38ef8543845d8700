# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""resume(): one example per rule, then what must hold over the whole product of memory and truth."""

from itertools import product

import pytest

from otad.bootenv import BootClass, BootStatus, Slot, classify
from otad.errors import Cause
from otad.resume import INSTALL_STARTS, VALIDATE_STARTS, resume
from otad.statemachine import Attempt, Kind, Record, State

A, B = Slot.A, Slot.B
NOW, BEFORE = "boot-2", "boot-1"
BAD = Cause("unhealthy", "the check failed", "")


def attempt(target=B, generation=7):
    return Attempt("01", Kind.UPDATE, "c", "ab" * 32, "1.1.0", target, generation)


def record(state, home=A, boot_id=BEFORE, target=B, **more):
    return Record(state, home, boot_id, attempt=more.pop("attempt", attempt(target)), **more)


def stable(booted=A, **more):
    return BootStatus(booted, booted, **more)


def trial(booted=B, **more):
    return BootStatus(booted, booted, trial=True, tries=1, **more)


def armed(booted=A, selected=B):
    return BootStatus(booted, selected, trial=True, fallback=booted)


@pytest.mark.parametrize(
    ("boot", "kind"),
    [
        (None, BootClass.UNKNOWN),
        (BootStatus(None, A), BootClass.UNKNOWN),
        (trial(), BootClass.TRIAL),
        (armed(), BootClass.ARMED),
        (stable(A, failed=B), BootClass.FELL),
        (BootStatus(A, B, trial=True, tries=4), BootClass.FELL),
        (BootStatus(B, A, failed=B), BootClass.PENDING),
        (BootStatus(B, A), BootClass.MOVED),
        (stable(), BootClass.STABLE),
    ],
)
def test_boots_are_classified(boot, kind):
    assert classify(boot) is kind


@pytest.mark.parametrize(
    ("rule", "rec", "boot", "state", "goal"),
    [
        (0, record(State.REBOOT), None, State.IDLE, None),
        (0, None, BootStatus(None, A), State.IDLE, None),
        (1, record(State.REBOOT), stable(A, failed=B), State.ROLLBACK, A),
        (1, None, BootStatus(A, B, trial=True, tries=4), State.ROLLBACK, A),
        (2, None, BootStatus(B, A, failed=B), State.ROLLBACK, A),
        (2, record(State.ROLLBACK, boot_id=NOW, goal=A), BootStatus(B, A, failed=B), State.ROLLBACK, A),
        (2, record(State.ROLLBACK, goal=A), BootStatus(B, A, failed=B), State.ROLLBACK, B),
        (3, record(State.ROLLBACK, goal=A), trial(), State.ROLLBACK, A),
        (3, record(State.ROLLBACK, goal=A), stable(A), State.ROLLBACK, A),
        (4, record(State.REBOOT), trial(), State.VALIDATE, None),
        (4, record(State.VALIDATE), trial(), State.VALIDATE, None),
        (4, record(State.COMMIT), trial(), State.VALIDATE, None),
        (5, None, trial(fallback=A), State.ROLLBACK, A),
        (5, None, trial(), State.ROLLBACK, A),
        (5, record(State.INSTALL), trial(), State.ROLLBACK, A),
        (5, record(State.REBOOT, target=A, home=B), trial(B), State.ROLLBACK, A),
        (6, record(State.REBOOT, boot_id=NOW), armed(), State.REBOOT, None),
        (7, record(State.REBOOT), armed(), State.ROLLBACK, A),
        (7, None, armed(), State.ROLLBACK, A),
        (8, None, stable(B), State.IDLE, None),
        (9, record(State.COMMIT), stable(B), State.COMMIT, None),
        (10, record(State.INSTALL), stable(B), State.ROLLBACK, A),
        (10, record(State.IDLE, attempt=None), BootStatus(B, A), State.IDLE, None),
        (11, record(State.VERIFY), stable(A), State.VERIFY, None),
        (12, record(State.INSTALL, starts=INSTALL_STARTS - 1), stable(A), State.INSTALL, None),
        (13, record(State.VALIDATE, target=None, starts=VALIDATE_STARTS - 1), stable(A), State.VALIDATE, None),
        (14, record(State.INSTALL, starts=INSTALL_STARTS), stable(A), State.ROLLBACK, A),
        (14, record(State.VALIDATE, target=None, starts=VALIDATE_STARTS), stable(A), State.ROLLBACK, A),
        (14, record(State.VALIDATE), stable(A), State.ROLLBACK, A),
    ],
)
def test_rules(rule, rec, boot, state, goal):
    found = resume(rec, boot, NOW, pointer=None)
    assert (found.rule, found.record.state, found.record.goal) == (rule, state, goal)
    assert found.record.boot_id == NOW


def test_a_moved_pointer_is_a_commit_that_happened():
    found = resume(record(State.COMMIT, target=None), stable(A), NOW, pointer=7)
    assert (found.rule, found.record.state) == (13, State.COMMIT)


@pytest.mark.parametrize("boot_id", [NOW, BEFORE])
def test_starts_are_counted_once_an_attempt_acts(boot_id):
    assert resume(record(State.INSTALL, starts=1, boot_id=boot_id), stable(A), NOW, None).record.starts == 2
    assert resume(record(State.DOWNLOAD, starts=0, boot_id=boot_id), stable(A), NOW, None).record.starts == 0
    assert resume(record(State.IDLE, attempt=None, boot_id=boot_id), stable(A), NOW, None).record.starts == 0


def test_a_cause_that_is_known_is_kept():
    found = resume(record(State.ROLLBACK, goal=A, cause=BAD), stable(A, failed=B), NOW, None)
    assert found.record.cause == BAD


def everything():
    """Memory x truth: 9 states and none, homes, targets, goals, both boot ids, counts; and every boot status."""
    slots = (A, B)
    records: list[Record | None] = [None]
    for state, home, target, boot_id, starts in product(State, slots, (A, B, None), (NOW, BEFORE), (0, 3, 4)):
        holds = None if state in {State.IDLE, State.CHECK} else attempt(target)
        goals = slots if state is State.ROLLBACK else (None,)
        records += [Record(state, home, boot_id, starts, holds, goal) for goal in goals]
    values = product((A, B, None), slots, (True, False), (0, 1), (A, B, None), (A, B, None))
    statuses = [None, *(BootStatus(*each) for each in values)]
    return product(records, statuses, (None, 7))


@pytest.mark.slow
def test_over_the_whole_product():
    rules = set()
    for rec, boot, pointer in everything():
        found = resume(rec, boot, NOW, pointer)
        now, kind = found.record, classify(boot)
        rules.add(found.rule)
        if kind is BootClass.UNKNOWN:
            assert now.state is State.IDLE
            assert found.refusal
            continue
        assert (now.goal is not None) == (now.state is State.ROLLBACK), (rec, boot)
        if now.state is State.ROLLBACK:
            assert now.cause, (rec, boot)
        if now.state is State.VALIDATE and now.the_attempt.target:
            assert kind is BootClass.TRIAL, (rec, boot)
            assert now.the_attempt.target is boot.booted, (rec, boot)
        if now.state is State.COMMIT and now.the_attempt.target:
            assert kind in {BootClass.STABLE, BootClass.MOVED}, (rec, boot)
            assert now.the_attempt.target is boot.booted, (rec, boot)
        if kind is BootClass.TRIAL:
            assert now.state in {State.VALIDATE, State.ROLLBACK}, "a trial is never left standing"
        if kind in {BootClass.ARMED, BootClass.FELL, BootClass.PENDING}:
            assert now.state in {State.REBOOT, State.ROLLBACK}, (rec, boot)
        if now.state in {State.CHECK, State.DOWNLOAD, State.VERIFY, State.INSTALL}:
            assert boot.booted is now.home, "work goes on in the home slot only"
        assert (found.refusal is not None) == (found.rule == 10 and now.state is State.IDLE)
    assert rules == set(range(15))


@pytest.mark.slow
def test_settling_is_stable():
    """Resuming again in the same boot, nothing having happened, decides the same, until the starts have run out."""
    for rec, boot, pointer in everything():
        once = resume(rec, boot, NOW, pointer)
        if once.refusal is None:
            again = resume(once.record, boot, NOW, pointer)
            ran_out = again.rule == 14 and once.rule in {12, 13} and again.record.starts > VALIDATE_STARTS
            assert again.record.state is once.record.state or ran_out, (rec, boot)
