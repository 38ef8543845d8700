# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Probation: over a real journal, with health that the test decides."""

import contextlib
from datetime import datetime, timedelta, timezone

import pytest

from otad.bootenv import Slot
from otad.config import Health
from otad.errors import BootEnvironmentError, Cause, Rejected
from otad.journal import Journal
from otad.probation import Probation
from otad.statemachine import Attempt, Kind, Outcome

ILL = Cause("check-failed", "the camera is gone", "look at it")
BACK = Attempt("01", Kind.REVERT, "", "", "1.0.0", Slot.A)


class Clock:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path):
    with contextlib.closing(Journal.open(tmp_path / "journal.db")) as opened:
        yield opened


def watched(journal, clock, *, cause=None, undo=lambda: BACK, seconds=3600):
    async def glance():
        return cause

    return Probation(journal, Health(probation=seconds, interval=0), clock, glance, undo)


async def test_a_healthy_release_is_left_alone(journal, clock):
    probation = watched(journal, clock)
    probation.begin()
    assert probation.left() == 0
    assert await probation.look() is None


async def test_an_ill_one_is_undone_with_its_cause_once(journal, clock):
    probation = watched(journal, clock, cause=ILL)
    probation.begin()
    step = await probation.look()
    assert (step.outcome, step.cause, step.attempt) == (Outcome.REVERT, ILL, BACK)
    probation.end()  # with the transition of the revert
    assert await probation.look() is None


async def test_it_outlives_the_process_and_ends_in_time(journal, clock):
    watched(journal, clock).begin()
    later = watched(journal, clock, cause=ILL)
    clock.now += timedelta(seconds=3599)
    assert later.left() == 0
    clock.now += timedelta(seconds=2)
    assert await later.look() is None


async def test_a_clock_that_was_set_back_ends_it(journal, clock):
    probation = watched(journal, clock, cause=ILL)
    probation.begin()
    clock.now -= timedelta(days=365)
    assert await probation.look() is None


async def test_without_a_way_back_it_is_only_told(journal, clock, caplog):
    def nowhere():
        raise Rejected("nothing-to-revert-to", "the other slot is empty", "")

    probation = watched(journal, clock, cause=ILL, undo=nowhere)
    probation.begin()
    assert await probation.look() is None
    assert "the camera is gone" in caplog.text


async def test_when_nobody_can_tell_where_to_it_is_looked_at_again(journal, clock):
    def unreadable():
        raise BootEnvironmentError("bootenv-read", "fw_printenv does not answer", "")

    probation = watched(journal, clock, cause=ILL, undo=unreadable)
    probation.begin()
    assert await probation.look() is None
    assert probation.left() == 0


async def test_none_is_the_default(journal, clock):
    probation = watched(journal, clock, cause=ILL, seconds=0)
    probation.begin()
    assert await probation.look() is None
