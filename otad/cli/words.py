"""What states and events are called in front of a person. Pure.

Rules:
 1. A sentence says what happens to this device, not which state a machine is in.
 2. What an event does not tell (the version of a check that found nothing) is left out, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otad.statemachine import TABLE, Outcome, State

Document = Mapping[str, Any]

_DOING = {
    "idle": "idle",
    "check": "asking the repository",
    "download": "downloading {version}",
    "verify": "checking {version} before anything is changed",
    "install": "installing {version}{into}",
    "reboot": "about to reboot with {version}{into}",
    "validate": "{version} is on trial{into}: its health is checked",
    "commit": "making {version} permanent",
    "rollback": "going back to slot {home}",
}

_HAPPENED = {
    ("idle", "due"): "looking for a release",
    ("idle", "revert"): "going back to {version}",
    ("check", "admitted"): "{version} is for this device{campaign}",
    ("check", "nothing"): "nothing to install",
    ("check", "failed"): "the repository could not be asked",
    ("download", "done"): "{version} is downloaded{ways}",
    ("download", "corrupt"): "what the server gave is not what was signed",
    ("download", "failed"): "the download broke off; what has come is kept",
    ("verify", "done"): "{version} is genuine and fits this device",
    ("verify", "staged"): "{version} is{into} already",
    ("verify", "live"): "{version} is here already and needs no reboot",
    ("verify", "corrupt"): "the downloaded files are damaged: fetched again",
    ("verify", "another"): "this way to get {version} does not work here: the next one is tried",
    ("verify", "rejected"): "{version} must not be installed here",
    ("install", "done"): "{version} is installed{into}",
    ("install", "live"): "{version} is in place and needs no reboot",
    ("install", "another"): "this way to get {version} does not work here: the next one is tried",
    ("install", "rejected"): "{version} must not be installed here",
    ("install", "tampered"): "{version} changed boot variables: undone",
    ("reboot", "boot"): "rebooting{to}",
    ("reboot", "failed"): "the reboot did not come: undone",
    ("validate", "done"): "{version} is healthy",
    ("validate", "failed"): "{version} is not healthy: going back",
    ("commit", "done"): "{version} is permanent",
    ("commit", "failed"): "{version} could not be made permanent: going back",
    ("rollback", "boot"): "rebooting back",
    ("rollback", "done"): "{version} was undone",
    ("rollback", "failed"): "the way back is blocked",
}

_ANYWHERE = {
    "held": "held; what was done is kept",
    "cancelled": "cancelled",
    "failed": "{state} failed",
    "rejected": "{state}: refused",
}


def doing(status: Document) -> str:
    """What otad does now, of a status document."""
    attempt = status.get("attempt") or {}
    return _fill(
        _DOING.get(status["state"]) or str(status["state"]), attempt.get("target"), {**attempt, "home": status.get("home")}
    )


def happened(event: Document) -> str:
    """What an event tells, without its cause."""
    pattern = _HAPPENED.get((event["state"], event["outcome"])) or _ANYWHERE.get(event["outcome"], "{state}: {outcome}")
    return _fill(pattern, event.get("slot"), event)


def ended(event: Document) -> str:
    """What came of an attempt, of the event that ended it."""
    version, outcome = event.get("version") or "the release", event["outcome"]
    if event["state"] == State.CHECK:
        return happened(event)
    if outcome in (Outcome.HELD, Outcome.CANCELLED):
        return f"the update to {version} is {outcome}"
    runs = f"this device runs {event.get('running') or 'what it ran before'}"
    if event["state"] == State.COMMIT:
        return runs
    return f"{version} was undone; {runs}" if event["state"] == State.ROLLBACK else f"the update to {version} failed; {runs}"


def next_state(event: Document) -> State | None:
    """The state that an event leads to; None for one that this version does not know."""
    try:
        return TABLE[State(event["state"])][Outcome(event["outcome"])]
    except (ValueError, KeyError):
        return None


def _fill(pattern: str, slot: str | None, about: Document) -> str:
    values = {
        "into": f" in slot {slot}" if slot else "",
        "to": f" into slot {slot}" if slot else "",
        "campaign": f" (campaign {about['campaign']})" if about.get("campaign") else "",
        "ways": "".join(f"; {name} as {way}" for name, way in about.get("evidence", {}).items()),
        "version": about.get("version") or "the release",
        **{key: about.get(key) or "?" for key in ("state", "outcome", "home")},
    }
    return pattern.format(**values)
