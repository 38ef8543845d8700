"""The plans of `make torture-qemu`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.journal import Journal
from otad.statemachine import Record, State
from simulator.qemu.torture.plan import GOOD, MARKS, OWN, RELEASES, RUNS_OTAD, STARTS, TRIAL, Plan
from simulator.qemu.torture.run import unrest

PLANS = [Plan.of(seed) for seed in range(300)]


def test_a_seed_is_a_plan() -> None:
    assert [Plan.of(seed) for seed in range(300)] == PLANS
    assert {plan.version for plan in PLANS} == set(RELEASES)
    assert {plan.start for plan in PLANS} == set(STARTS)


def test_cuts_come_in_order_and_where_the_release_comes() -> None:
    order = [mark for mark, _ in MARKS]
    for plan in PLANS:
        places = [order.index(mark) for mark, _ in plan.cuts]
        assert places == sorted(set(places))
        assert plan.version in RUNS_OTAD or max(places) < OWN
        assert all(0 <= wait <= dict(MARKS)[mark] for mark, wait in plan.cuts)


def test_a_good_release_has_a_boot_left() -> None:
    assert all(
        len([mark for mark, _ in plan.cuts if mark in {MARKS[n][0] for n in TRIAL}]) < 3 for plan in PLANS if plan.version == GOOD
    )


def journal(folder: Path, state: State) -> Path:
    path = folder / "journal.db"
    with closing(Journal.open(path)) as journal:
        journal.transition(Record(state, Slot.A, "a-boot"))
    return path


def test_a_journal_at_rest_is_no_news(tmp_path: Path) -> None:
    assert list(unrest(journal(tmp_path, State.IDLE))) == []


def test_a_journal_in_a_state_is_told(tmp_path: Path) -> None:
    assert list(unrest(journal(tmp_path, State.CHECK))) == ["the journal says check, not idle"]


def test_a_journal_that_is_none_is_an_error_that_a_run_tells(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        list(unrest(tmp_path / "journal.db"))
