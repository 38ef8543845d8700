"""The state of otad in one document: the daemon's answer, and otactl's when the daemon sleeps. Pure.

Rules:
 1. One shape for both: what only a living daemon knows (progress) is null in a sleeping one.
 2. What is wrong now is shown, what was overcome is history: a commit ends the failure before it, a new attempt the hold.
 3. Times are ISO 8601 in UTC, as in the events; sizes bytes; durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otad.statemachine import TABLE, Outcome, Record, State

if TYPE_CHECKING:
    from otad.control.progress import Progress
    from otad.errors import Cause
    from otad.journal import Journal
    from otad.journal.reader import Reader

Document = dict[str, Any]
Event = Mapping[str, Any]

RECENT = 200
"""Events that are looked at: enough to find the last check and the last failure behind retries."""

SETTINGS = ("paused", "next_check", "probation")
"""The journal's settings that are shown: {by, since} while a person has paused updates; when the next check is due; until when
the last commit may still be undone by failing checks."""

_NO_FAILURE = (Outcome.HELD, Outcome.CANCELLED, Outcome.NOTHING)
_NO_ATTEMPT = (State.IDLE, State.CHECK)


@dataclass(frozen=True)
class Facts:
    """What the journal does not hold.

    version   what runs; None when the caller does not know: the newest event of the slot that runs then tells
    image     what the image in that slot says that it is, if no event tells either
    slot      that runs
    release   SHA-256 of the document of what runs
    unsent    events that the fleet has not been told yet
    awake     a daemon is running
    progress  of the state that is running
    trouble   why no daemon can run, or what a running one found damaged
    """

    version: str | None = None
    image: str | None = None
    slot: str | None = None
    release: str | None = None
    unsent: int = 0
    awake: bool = False
    progress: Progress | None = None
    trouble: Cause | None = None


def read(journal: Journal | Reader, facts: Facts) -> Document:
    """The status document of a journal. Raises JournalError."""
    settings = {name: journal.settings.get(name) for name in SETTINGS}
    return describe(journal.load(), journal.events.latest(RECENT), settings, facts)


def describe(record: Record | None, events: Sequence[Event], settings: Mapping[str, Any], facts: Facts) -> Document:
    """The status document (schema Status of `openapi`) of the journal's record, its events (oldest first) and settings."""
    latest = events[-1] if events else None
    return {
        "state": record.state.value if record else State.IDLE.value,
        "since": latest["time"] if latest else None,
        "running": _running(events, facts),
        "home": record.home.value if record else None,
        "attempt": _attempt(record),
        "progress": facts.progress.document() if facts.progress else None,
        "trouble": facts.trouble.to_dict() if facts.trouble else _trouble(events),
        "cause": _failure(record, events),
        "held": _held(events),
        "check": _check(events),
        "next_check": settings.get("next_check"),
        "paused": settings.get("paused"),
        "probation": settings.get("probation"),
        "unsent": facts.unsent,
        "seq": latest["seq"] if latest else 0,
        "awake": facts.awake,
    }


def ended(event: Event) -> bool:
    """True for the event that brings an attempt, or a check that led to none, to its end."""
    state, outcome = State(event["state"]), Outcome(event["outcome"])
    return state is not State.IDLE and TABLE[state][outcome] is State.IDLE


def failed(event: Event) -> bool:
    """True for the event that tells why an attempt failed: a rollback that worked tells why it had to."""
    return event.get("cause") is not None and event["outcome"] not in _NO_FAILURE and not _found_damage(event)


def _running(events: Sequence[Event], facts: Facts) -> Document:
    here = [event for event in events if event.get("booted") and facts.slot in (None, event["booted"])]
    told = here[-1] if here else {}
    version = facts.version or told.get("running") or facts.image
    return {"version": version, "slot": facts.slot or told.get("booted"), "release": facts.release}


def _attempt(record: Record | None) -> Document | None:
    attempt = record.attempt if record else None
    if attempt is None:
        return None
    target = attempt.target.value if attempt.target else None
    return {
        "id": attempt.id,
        "kind": attempt.kind.value,
        "version": attempt.version,
        "campaign": attempt.campaign,
        "target": target,
    }


def _failure(record: Record | None, events: Sequence[Event]) -> Document | None:
    """Why the device rolls back now, else why the last attempt failed, unless a later one was committed."""
    if record and record.cause:
        version = record.attempt.version if record.attempt else None
        return {**record.cause.to_dict(), "version": version, "time": None}
    for event in reversed(events):
        if event["state"] == State.COMMIT and event["outcome"] == Outcome.DONE:
            return None
        if event["state"] != State.CHECK and failed(event):
            return {**_cause(event), "version": event.get("version"), "time": event["time"]}
    return None


def _trouble(events: Sequence[Event]) -> Document | None:
    """What the daemon found damaged when it started, as its first check tells; a commit since shows that all is well."""
    for event in reversed(events):
        if event["state"] == State.COMMIT and event["outcome"] == Outcome.DONE:
            return None
        if _found_damage(event):
            return _cause(event)
    return None


def _found_damage(event: Event) -> bool:
    return event["state"] == State.IDLE and event["outcome"] == Outcome.DUE and event.get("cause") is not None


def _held(events: Sequence[Event]) -> Document | None:
    """Why the last attempt waits: a pause, a window, an inhibitor."""
    for event in reversed(events):
        if event["state"] not in _NO_ATTEMPT:
            return _cause(event) if event["outcome"] == Outcome.HELD else None
    return None


def _check(events: Sequence[Event]) -> Document | None:
    """How the last check ended: result is an Outcome; reason and remedy are empty when a release was found."""
    for event in reversed(events):
        if event["state"] == State.CHECK:
            cause = _cause(event)
            told = {"reason": cause["what"], "remedy": cause["remedy"], "retry_at": cause["evidence"].get("retry_at")}
            return {"time": event["time"], "result": event["outcome"], **told}
    return None


def _cause(event: Event) -> Document:
    cause = event.get("cause") or {}
    return {**{key: cause.get(key, "") for key in ("code", "what", "remedy", "who")}, "evidence": cause.get("evidence", {})}
