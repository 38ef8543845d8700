"""What the journal's tests keep in it."""

from __future__ import annotations

from datetime import datetime, timezone

from otad.bootenv import Slot
from otad.errors import Cause, Who
from otad.formats.event import Event
from otad.statemachine import Attempt, Kind, Record, State

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=timezone.utc)
CAUSE = Cause("check-failed", "check web failed: exit status 1", "Read its output", Who.INTEGRATOR, {"output": "no route"})
ATTEMPT = Attempt(
    "01JD9", Kind.BACK, "spring", "ab" * 32, "1.1.0", Slot.B, 7, refetched=True, reachable=True, asked=True, failed=("cd" * 32,)
)
RECORD = Record(State.ROLLBACK, Slot.B, "boot-1", 2, ATTEMPT, Slot.B, CAUSE)


def event(number: int, cause: Cause | None = None) -> Event:
    return Event(f"E{number:06}", "dev-1", "boot-1", NOW, "idle", "due", running="1.0.0", cause=cause)
