from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from otad.cli import paint, words
from otad.statemachine import TABLE, Outcome, State

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4.1e6, "4.1 MB"), (512e6, "512 MB"), (999.6e6, "1.0 GB"), (2e12, "2000 GB")],
)
def test_sizes(count: float, shown: str) -> None:
    assert paint.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown", "said"),
    [
        (0.2, "0 s", "0 s"),
        (59.6, "1 min", "1 min"),
        (125, "2 min 5 s", "2 min"),
        (7200, "2 h", "2 h"),
        (13800, "3 h 50 min", "3 h 50 min"),
        (90000, "1 day 1 h", "1 day"),
        (-180, "3 min", "3 min"),
    ],
)
def test_durations(seconds: float, shown: str, said: str) -> None:
    assert (paint.span(seconds), paint.coarse(seconds)) == (shown, said)


def test_words_of_others_cannot_steer_the_terminal() -> None:
    """The label of a phase is signed by an online key only, and stands in a cause."""
    assert paint.labelled("Why", "phase \x1b[2J\x9b1m 2\x07").endswith("phase \ufffd[2J\ufffd1m 2\ufffd")
    assert paint.paragraph("one\ntwo") == "one\ntwo"


def test_moments_tell_time_and_distance_before_and_after() -> None:
    assert paint.moment("2026-11-22T10:00:00Z", NOON) == "10:00 (2 h ago)"
    assert paint.moment("2026-11-22T15:50:00.000+00:00", NOON) == "15:50 (in 3 h 50 min)"
    assert paint.moment((NOON - timedelta(days=3)).isoformat(), NOON) == "2026-11-19 12:00 (3 days ago)"


def test_a_bar_is_never_longer_than_itself() -> None:
    assert paint.bar(0, 10, 4) == "[....]"
    assert paint.bar(5, 10, 4) == "[##..]"
    assert paint.bar(20, 10, 4) == "[####]"


def test_what_is_not_known_is_left_out() -> None:
    assert paint.measures({"done": 4_000_000, "total": 0, "rate": None, "eta": None}) == "4.0 MB"
    assert paint.measures({"done": 1, "total": 4, "rate": None, "eta": None}) == "25% of 4 B"


@pytest.mark.parametrize(("state", "outcome"), [(s, o) for s, edges in TABLE.items() for o in edges])
def test_every_edge_has_words_for_people(state: State, outcome: Outcome) -> None:
    event = {"state": state.value, "outcome": outcome.value, "version": "1.1.0", "slot": "B"}
    if outcome is not Outcome.SLEEP:  # the daemon ends without an event
        assert ": " + outcome.value not in words.happened(event)
    assert "{" not in words.happened(event)
    assert words.next_state(event) is TABLE[state][outcome]


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_words_for_people(state: State) -> None:
    told = {"state": state.value, "home": "A", "attempt": {"version": "1.1.0", "target": "B"}}
    assert "{" not in words.doing(told)
    assert state is State.IDLE or words.doing(told) != state.value


def test_how_a_payload_came_is_told_with_the_download() -> None:
    event = {"state": "download", "outcome": "done", "version": "1.1.0", "evidence": {"system": "zstd, 9 bytes (not delta: why)"}}
    assert words.happened(event) == "1.1.0 is downloaded; system as zstd, 9 bytes (not delta: why)"


def test_an_event_of_another_version_of_otad_is_still_told() -> None:
    event = {"state": "hover", "outcome": "landed"}
    assert words.happened(event) == "hover: landed"
    assert words.next_state(event) is None
