# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The book over a real journal: what is kept of a transition, and what a release is refused for."""

import contextlib
import sqlite3
from datetime import datetime, timezone

import pytest

from otad.book import COMMITTED, TransitionBook
from otad.bootenv import BootClass, Slot
from otad.config import Attempts, Config, Device, Repository
from otad.errors import Cause
from otad.journal import Journal
from otad.journal.record import NOT_UNDERSTOOD
from otad.orders import NEXT, Orders
from otad.resume import Resumed
from otad.running import Running
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step, advance

A, B = Slot.A, Slot.B
BAD = Cause("check-failed", "the model gives nonsense", "publish another")
UPDATE = Attempt("01", Kind.UPDATE, "c1", "ab" * 32, "1.1.0", B, 1)
BACK = Attempt("02", Kind.REVERT, "", "cd" * 32, "1.0.0", A)


@pytest.fixture
def journal(tmp_path):
    with contextlib.closing(Journal.open(tmp_path / "journal.db")) as opened:
        yield opened


@pytest.fixture
def book(journal):
    config = Config(repository=Repository(url="https://x"), device=Device(product="p"))
    orders = Orders(journal, config, lambda: datetime.now(timezone.utc))
    made = TransitionBook(journal, orders, Attempts(limit=2), "d1", lambda: Running("1.0.0", None, A))
    made.record = Record(State.IDLE, A, "boot-1")
    return made


def turn(book, before, step):
    book.turn(before, step, advance(before, step))


def at(state, attempt=UPDATE, **more):
    return Record(state, A, "boot-1", attempt=attempt, **more)


def refused(journal):
    return [(tries.campaign, tries.release) for tries in journal.attempts.all() if tries.refused]


def test_a_trial_that_failed_is_refused_at_once(book, journal):
    turn(book, at(State.VALIDATE), Step(Outcome.FAILED, BAD))
    assert refused(journal) == [("c1", "ab" * 32)]


def test_an_install_that_failed_is_tried_again_within_bounds(book, journal):
    turn(book, at(State.INSTALL), Step(Outcome.FAILED, BAD))
    assert refused(journal) == []
    turn(book, at(State.INSTALL), Step(Outcome.FAILED, BAD))
    assert refused(journal) == [("c1", "ab" * 32)]


@pytest.mark.parametrize("state", [State.CHECK, State.DOWNLOAD])
def test_a_link_that_fails_says_nothing_against_the_release(book, journal, state):
    for _ in range(5):
        turn(book, at(state), Step(Outcome.FAILED, BAD))
    assert journal.attempts.all() == []


def test_what_was_committed_is_refused_when_it_is_undone(book, journal):
    turn(book, at(State.COMMIT), Step(Outcome.DONE))
    assert journal.settings.get(COMMITTED)["version"] == "1.1.0"
    turn(book, Record(State.IDLE, B, "boot-2"), Step(Outcome.REVERT, BAD, BACK))
    assert refused(journal) == [("c1", "ab" * 32)]


def test_a_committed_release_whose_slot_dies_later_is_refused_and_named(book, journal):
    turn(book, at(State.COMMIT), Step(Outcome.DONE))
    before = journal.load()
    fell = Resumed(Record(State.ROLLBACK, B, "boot-9", goal=A, cause=BAD), 1)
    book.open(before, fell, BootClass.FELL)
    assert refused(journal) == [("c1", "ab" * 32)]
    turn(book, book.record, Step(Outcome.DONE, BAD))
    last = journal.events.latest(1)[0]
    assert (last["campaign"], last["version"], last["slot"]) == ("c1", "1.1.0", "B")


def test_a_revert_is_not_what_was_committed(book, journal):
    turn(book, at(State.COMMIT), Step(Outcome.DONE))
    turn(book, at(State.COMMIT, BACK), Step(Outcome.DONE))
    assert journal.settings.get(COMMITTED)["version"] == "1.1.0"


def test_a_transition_and_what_follows_from_it_are_one(book, journal, monkeypatch):
    """Cut while the next check is planned: neither the event, nor the record, nor what was committed is there."""
    book.turn(at(State.VALIDATE), Step(Outcome.DONE), at(State.COMMIT))

    def cut(*_):
        raise sqlite3.OperationalError("the power goes")

    monkeypatch.setattr(book._orders, "plan", cut)
    with pytest.raises(sqlite3.OperationalError):
        turn(book, at(State.COMMIT), Step(Outcome.DONE))
    assert journal.load().state is State.COMMIT
    assert journal.settings.get(COMMITTED) is None
    assert [event["state"] for event in journal.events.latest(10)] == ["validate"]


def test_a_server_cannot_make_the_device_hurry(book, journal):
    turn(book, Record(State.CHECK, A, "boot-1"), Step(Outcome.FAILED, BAD, retry_after=0))
    assert (journal.settings.time(NEXT) - datetime.now(timezone.utc)).total_seconds() > 20


def test_what_cannot_be_understood_leaves_the_record_alone(book, journal):
    kept = at(State.VALIDATE)
    journal.transition(kept)
    book.open(kept, Resumed(Record(State.IDLE, A, "boot-2"), 0, BAD), BootClass.UNKNOWN)
    turn(book, Record(State.CHECK, A, "boot-2"), Step(Outcome.NOTHING, BAD))
    assert journal.load() == kept
    assert journal.events.latest(1)[0]["cause"]["code"] == "check-failed"


def test_a_release_that_fell_back_out_of_a_state_of_a_newer_otad_is_refused(book, journal):
    """Its record reads as a rollback (otad.journal.record, rule 1), which nobody began."""
    unknown = at(State.ROLLBACK, goal=A, cause=Cause(NOT_UNDERSTOOD, "burn-in is not a state", ""))
    book.open(unknown, Resumed(unknown, 1), BootClass.FELL)
    assert refused(journal) == [("c1", "ab" * 32)]
