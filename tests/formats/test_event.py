from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from datetime import datetime, timedelta, timezone

import pytest

from otad.errors import Cause, Rejected, Who
from otad.formats.event import EVIDENCE_TOTAL, EVIDENCE_VALUE, Event
from otad.statemachine import Outcome, State

CAUSE = Cause("check-failed", "check web failed", "Read its output", Who.INTEGRATOR, {"output": "no route"})
EVENT = Event(
    id="01JD9",
    device="dev-1",
    boot="boot-1",
    time=datetime(2026, 11, 22, 3, 0, 0, 250_000, tzinfo=timezone.utc),
    state=State.VALIDATE,
    outcome=Outcome.FAILED,
    running="1.1.0",
    booted="B",
    attempt="01JD8",
    kind="update",
    campaign="spring",
    release="ab" * 32,
    version="1.1.0",
    slot="B",
    cause=CAUSE,
    evidence={"archive": "/data/otad/evidence/01JD8.tar.gz"},
    durations={"state": 61.25},
    bytes={"fetched": 123},
)


def test_the_sample_leaves_no_field_at_its_default() -> None:
    for field in fields(EVENT):
        assert field.default is MISSING or getattr(EVENT, field.name) != field.default, field.name


def test_it_comes_back_as_it_was() -> None:
    assert Event.from_json(EVENT.to_json()) == EVENT


def test_it_is_one_line_of_plain_ascii_with_the_time_in_utc() -> None:
    here = replace(EVENT, time=EVENT.time.astimezone(timezone(timedelta(hours=9))), running="1.1.0-\N{SNOWMAN}\n")
    text = here.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["time"] == "2026-11-22T03:00:00.250Z"
    assert json.loads(text)["state"] == "validate"


def test_what_is_empty_is_left_out() -> None:
    short = Event("01", "dev-1", "boot-1", EVENT.time, "idle", "due")
    assert set(json.loads(short.to_json())) == {"id", "device", "boot", "time", "state", "outcome"}
    assert Event.from_json(short.to_json()) == short


def test_it_is_bounded_and_keeps_the_end_of_a_log() -> None:
    loud = {f"log{n}": "\N{SNOWMAN}" * 5000 + f"end {n}" for n in range(50)}
    event = replace(EVENT, cause=replace(CAUSE, what="w" * 9000, remedy="r" * 9000, evidence=loud), evidence=loud)
    plain = json.loads(event.to_json())
    kept = [*plain["evidence"].values(), *plain["cause"]["evidence"].values()]
    assert sum(len(text.encode()) for text in kept) <= EVIDENCE_TOTAL
    assert all(len(text.encode()) <= EVIDENCE_VALUE for text in kept)
    assert plain["cause"]["evidence"]["log0"].endswith("end 0")
    assert len(plain["cause"]["what"]) == len(plain["cause"]["remedy"]) == 1024


def test_bytes_that_are_no_text_do_no_harm() -> None:
    text = replace(EVENT, evidence={"output": b"\xff\xfe".decode(errors="surrogateescape")}).to_json()
    text.encode()
    assert Event.from_json(text).evidence == {"output": "??"}


def test_what_a_newer_device_adds_is_ignored() -> None:
    assert Event.from_json(json.dumps(json.loads(EVENT.to_json()) | {"mood": "good", "state": "polish"})).state == "polish"


@pytest.mark.parametrize(
    "change",
    [
        {"id": 7},
        {"time": "soon"},
        {"time": "2026-01-01T00:00:00"},
        {"time": 3},
        {"cause": {"code": "x"}},
        {"bytes": []},
        {"cause": "x"},
    ],
)
def test_what_is_no_event_is_rejected(change: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="not an event"):
        Event.from_json(json.dumps(json.loads(EVENT.to_json()) | change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", "{"])
def test_what_is_no_object_is_rejected(text: str) -> None:
    with pytest.raises(Rejected):
        Event.from_json(text)
