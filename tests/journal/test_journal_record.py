from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from otad.bootenv import Slot
from otad.journal.record import decode, encode
from otad.statemachine import Attempt, Record, State
from tests.journal.journal_samples import ATTEMPT, CAUSE, RECORD


def changed(**more: Any) -> str:
    return json.dumps(json.loads(encode(RECORD)) | more)


def test_the_samples_leave_no_field_at_its_default() -> None:
    for sample in (RECORD, ATTEMPT):
        for field in fields(sample):
            assert field.default is MISSING or getattr(sample, field.name) != field.default, field.name


@pytest.mark.parametrize("state", State)
def test_a_record_comes_back_as_it_was(state: State) -> None:
    record = replace(RECORD, state=state)
    assert decode(encode(record)) == record


def test_an_idle_record_comes_back_as_it_was() -> None:
    record = Record(State.IDLE, Slot.A, "boot-1")
    assert decode(encode(record)) == record


@pytest.mark.parametrize(
    "text",
    [
        changed(state="polish"),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"kind": "sideways"}),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"target": "C"}),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"generation": "7"}),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"version": 1}),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"failed": "ab"}),
        changed(attempt=json.loads(encode(RECORD))["attempt"] | {"failed": [1]}),
        changed(attempt={}),
        changed(state="install", attempt=None),
        changed(state="reboot", attempt=json.loads(encode(RECORD))["attempt"] | {"target": None}),
        changed(goal="C"),
        changed(starts=-1),
        changed(starts=True),
        changed(cause={"code": "x"}),
        json.dumps({"home": "B", "boot_id": "boot-1"}),
    ],
)
def test_what_is_not_understood_rolls_back_home_and_says_so(text: str) -> None:
    record = decode(text)
    assert record is not None
    assert (record.state, record.home, record.goal) == (State.ROLLBACK, Slot.B, Slot.B)
    assert record.cause
    assert record.cause.code == "record-unknown"


def test_an_unknown_state_keeps_the_attempt_so_that_it_is_marked_failed() -> None:
    record = decode(changed(state="polish"))
    assert record
    assert record.attempt == ATTEMPT


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "null", changed(home="C"), changed(home=None), json.dumps({"home": "A"}), "\x00" * 8]
)
def test_without_a_home_there_is_no_record(text: str) -> None:
    assert decode(text) is None


def test_a_rollback_without_a_goal_goes_home() -> None:
    assert decode(changed(goal=None)) == replace(RECORD, goal=RECORD.home)


def test_keys_of_a_newer_otad_are_ignored() -> None:
    newer = json.loads(encode(RECORD)) | {"mood": "good"}
    newer["attempt"] |= {"wave": 3}
    assert decode(json.dumps(newer)) == RECORD


def test_keys_that_an_older_otad_did_not_have_get_their_defaults() -> None:
    older = json.loads(encode(RECORD))
    for field in fields(Attempt):
        if field.default is not MISSING:
            del older["attempt"][field.name]
    record = decode(json.dumps(older))
    assert record
    assert record.attempt == Attempt("01JD9", ATTEMPT.kind, "spring", "ab" * 32, "1.1.0", Slot.B)
    assert record.cause == CAUSE
