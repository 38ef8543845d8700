"""The record: what the machine remembers, as text.

Rules:
 1. What this otad does not understand (a state, a kind, a slot of a newer one) rolls back to the home slot.
 2. When not even the home slot can be read there is no record, and the boot environment decides.
 3. A check sum stands beside the text: a flipped bit is no record, not another one.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, fields
from typing import Any

from otad.bootenv import Slot
from otad.errors import Cause, Who
from otad.journal.connection import Connection
from otad.statemachine import Attempt, Kind, Record, State

NOT_UNDERSTOOD = "record-unknown"
"""Code of the cause of a rollback that no otad began: rule 1."""

_WITHOUT_ATTEMPT = {State.IDLE, State.CHECK, State.ROLLBACK}


class Records:
    """The one row of the table `record`. Every method raises JournalError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def load(self) -> Record | None:
        """The record as it was last saved; None when there is none or it cannot be read."""
        rows = self._connection.rows("SELECT json, crc FROM record WHERE id = 1")
        if not rows:
            return None
        text, crc = rows[0]
        return decode(text) if isinstance(text, str) and _crc(text) == crc else None

    def lost(self) -> bool:
        """True when there is a record that cannot be read: bits have rotted."""
        return self.load() is None and bool(self._connection.rows("SELECT 1 FROM record"))

    def save(self, record: Record) -> None:
        """Put `record` in the place of the last one."""
        text = encode(record)
        self._connection.rows("INSERT OR REPLACE INTO record (id, json, crc) VALUES (1, ?, ?)", text, _crc(text))


def encode(record: Record) -> str:
    """`record` as JSON."""
    plain = {field.name: getattr(record, field.name) for field in fields(record)}
    plain["attempt"] = asdict(record.attempt) if record.attempt else None
    plain["cause"] = record.cause.to_dict() if record.cause else None
    return json.dumps(plain, separators=(",", ":"))


def decode(text: str) -> Record | None:
    """The record of `encode`, by the rules above. Keys that a newer otad adds are ignored."""
    try:
        plain = json.loads(text)
        home, boot_id = Slot(plain["home"]), str(plain["boot_id"])
    except (ValueError, TypeError, KeyError):
        return None
    try:
        return _understood(plain, home, boot_id)
    except (ValueError, TypeError, KeyError) as error:
        return Record(State.ROLLBACK, home, boot_id, attempt=_attempt_or_none(plain), goal=home, cause=_unknown(plain, error))


def _understood(plain: dict[str, Any], home: Slot, boot_id: str) -> Record:
    """Raises KeyError, TypeError or ValueError for what this otad does not know, and for what no otad would have saved."""
    state = State(plain["state"])
    attempt = _attempt(plain["attempt"]) if plain["attempt"] is not None else None
    if attempt is None and state not in _WITHOUT_ATTEMPT:
        raise ValueError(f"{state.value} without an attempt")
    if state is State.REBOOT and attempt and attempt.target is None:
        raise ValueError("reboot without a target slot")
    goal = Slot(plain["goal"]) if plain["goal"] is not None else None
    if state is State.ROLLBACK:
        goal = goal or home
    cause = Cause.from_dict(plain["cause"]) if plain["cause"] is not None else None
    return Record(state, home, boot_id, _whole(plain["starts"]), attempt, goal, cause)


def _attempt(plain: dict[str, Any]) -> Attempt:
    known = {field.name: plain[field.name] for field in fields(Attempt) if field.name in plain}
    for name in ("id", "campaign", "release", "version"):
        if not isinstance(known[name], str):
            raise TypeError(f"attempt.{name} is not text")
    for name in ("refetched", "reachable", "asked"):
        if not isinstance(known.get(name, False), bool):
            raise TypeError(f"attempt.{name} is neither true nor false")
    failed = known.get("failed", [])  # an older otad did not know it
    if not isinstance(failed, list) or not all(isinstance(blob, str) for blob in failed):
        raise TypeError("attempt.failed is no list of texts")
    known["failed"] = tuple(failed)
    known["kind"] = Kind(known["kind"])
    known["target"] = Slot(known["target"]) if known["target"] is not None else None
    if known.get("generation") is not None:
        known["generation"] = _whole(known["generation"])
    return Attempt(**known)


def _attempt_or_none(plain: dict[str, Any]) -> Attempt | None:
    """The attempt, so that it can be marked failed, when at least that can be read."""
    try:
        return _attempt(plain["attempt"])
    except (ValueError, TypeError, KeyError):
        return None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _unknown(plain: dict[str, Any], error: Exception) -> Cause:
    return Cause(
        NOT_UNDERSTOOD,
        f"the journal holds what this version of otad does not know ({error})",
        "Nothing to do: the last confirmed slot is kept",
        Who.NOBODY,
        {"state": str(plain.get("state", ""))[:100]},
    )


def _crc(text: str) -> int:
    return zlib.crc32(text.encode())
