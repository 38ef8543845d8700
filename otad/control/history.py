"""The events, told as attempts. Pure.

Rules:
 1. An attempt is what its events say; one whose end has not come yet, or was never told, has no outcome.
 2. Why it failed is the first cause on the way: a rollback repeats it, or tells what came on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from otad.control.status import ended, failed
from otad.statemachine import Outcome, State

Document = dict[str, Any]

EVENTS = 5000
"""How many past events are looked at."""


def attempts(events: Iterable[Mapping[str, Any]]) -> list[Document]:
    """The attempts in `events` (oldest first), newest first.

    Each: id, kind, version, release, campaign, slot (target), started, ended, result ("committed", "failed", "held",
    "cancelled" or None while it is under way), cause or None, durations (state -> seconds), bytes (name -> bytes).
    """
    found: dict[str, Document] = {}
    for event in events:
        if event.get("attempt"):
            _add(found.setdefault(event["attempt"], _new(event)), event)
    return list(reversed(found.values()))


def _new(event: Mapping[str, Any]) -> Document:
    told = {key: event.get(key) for key in ("kind", "version", "release", "campaign", "slot")}
    state = {"started": event["time"], "ended": None, "result": None, "cause": None, "durations": {}, "bytes": {}}
    return {"id": event["attempt"], **told, **state}


def _add(attempt: Document, event: Mapping[str, Any]) -> None:
    for name, seconds in event.get("durations", {}).items():
        state = event["state"] if name == "state" else name
        attempt["durations"][state] = attempt["durations"].get(state, 0) + seconds
    for name, amount in event.get("bytes", {}).items():
        attempt["bytes"][name] = attempt["bytes"].get(name, 0) + amount
    if failed(event):
        attempt["cause"] = attempt["cause"] or event["cause"]
    if event.get("slot"):
        attempt["slot"] = event["slot"]
    attempt["result"], attempt["ended"] = (_result(event), event["time"]) if ended(event) else (None, None)


def _result(event: Mapping[str, Any]) -> str:
    if event["outcome"] in (Outcome.HELD, Outcome.CANCELLED):
        return str(event["outcome"])
    return "committed" if event["state"] == State.COMMIT and event["outcome"] == Outcome.DONE else "failed"
