"""Event: one transition of one device, as the fleet is told of it.

Rules:
 1. An event is a fact that is over: it is written once and never changed, so its id is enough to recognise a repetition.
 2. It is bounded: `EVIDENCE_VALUE` bytes for a piece of evidence, `EVIDENCE_TOTAL` for all; the end of a text is kept.
 3. Names of states and outcomes are plain text here: an older server understands the rest of a newer device's event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from otad.errors import Cause, Rejected, Who

EVIDENCE_VALUE = 4096
EVIDENCE_TOTAL = 16384
_WORDS = 1024  # characters of a cause's sentence, or of its remedy


@dataclass(frozen=True)
class Event:
    """What happened.

    id         ULID
    device     the device's name in the fleet
    boot       kernel's boot id
    time       when, by the device's own clock (aware); the clock may be wrong, the order of events is not
    state      that ended
    outcome    how it ended
    running    version that really runs, as the image itself says; empty when it does not say
    booted     slot that runs: A or B; empty when it cannot be told
    attempt    ULID of the attempt, with its kind, campaign, release (SHA-256 of the document), version and target slot;
               all empty when there is none
    cause      why it did not go well, or why nothing was done
    evidence   short named facts beyond the cause's own
    durations  name -> seconds
    bytes      name -> bytes moved
    """

    id: str
    device: str
    boot: str
    time: datetime
    state: str
    outcome: str
    running: str = ""
    booted: str = ""
    attempt: str = ""
    kind: str = ""
    campaign: str = ""
    release: str = ""
    version: str = ""
    slot: str = ""
    cause: Cause | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON within the bounds of rule 2; empty fields are left out."""
        plain: dict[str, Any] = {name: value for name, value in vars(self).items() if value}
        plain["time"] = self.time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        plain |= {name: dict(plain[name]) for name in ("durations", "bytes") if name in plain}
        if self.evidence:
            plain["evidence"] = _bounded(self.evidence, EVIDENCE_TOTAL // 2)
        if self.cause:
            cause = self.cause.to_dict()
            cause["what"], cause["remedy"] = cause["what"][:_WORDS], cause["remedy"][:_WORDS]
            plain["cause"] = cause | {"evidence": _bounded(self.cause.evidence, EVIDENCE_TOTAL // 2)}
        return json.dumps(plain, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Event:
        """The event of `to_json`; keys that a newer device adds are ignored. Raises Rejected."""
        try:
            plain = {key: value for key, value in json.loads(text).items() if key in cls.__dataclass_fields__}
            plain["time"] = datetime.fromisoformat(plain["time"].replace("Z", "+00:00"))
            if "cause" in plain:
                plain["cause"] = Cause.from_dict(plain["cause"])
            event = cls(**plain)
            _check(event)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Rejected(
                "event-invalid",
                f"this is not an event: {type(error).__name__}: {error}",
                "Compare the sender's otad version with this one's",
                who=Who.INTEGRATOR,
                evidence={"text": text[:EVIDENCE_VALUE]},
            ) from error
        return event


def _check(event: Event) -> None:
    """Types of what came from outside; the dataclass does not look at them. Raises TypeError."""
    texts: dict[str, Any] = {k: v for k, v in vars(event).items() if k not in {"time", "cause", "evidence", "durations", "bytes"}}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    wrong += [name for name in ("evidence", "durations", "bytes") if not isinstance(getattr(event, name), dict)]
    if wrong:
        raise TypeError(f"{', '.join(wrong)} of a wrong type")
    if event.time.tzinfo is None:
        raise ValueError("time has no zone")


def _bounded(evidence: Mapping[str, str], room: int) -> dict[str, str]:
    """As many entries as fit into `room` bytes, in order; each keeps its last bytes, where a log says what went wrong."""
    kept: dict[str, str] = {}
    for name, text in evidence.items():
        data = text.encode(errors="replace")[-min(EVIDENCE_VALUE, room) :] if room > 0 else b""
        if data:
            kept[name] = data.decode(errors="ignore")
            room -= len(data)
    return kept
