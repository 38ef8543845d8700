"""The settings: small facts that outlive the process, by name.

Rules:
 1. A value is JSON. One that cannot be read is absent: each of these facts has a safe default.
 2. Times are aware, UTC.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from otad.journal.connection import Connection

_PAUSED = "paused"


@dataclass(frozen=True)
class Pause:
    """Updates were paused on this device: by which user, since when (aware, UTC)."""

    by: str
    since: datetime


class Settings:
    """The table `settings`. Every method raises JournalError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> Any:
        """The value of `name` (JSON data); None when it is absent."""
        rows = self._connection.rows("SELECT json FROM settings WHERE name = ?", name)
        try:
            return json.loads(rows[0][0]) if rows else None
        except (ValueError, TypeError):
            return None

    def put(self, name: str, value: Any) -> None:
        """Set `name` to `value` (JSON data); None removes it."""
        if value is None:
            self._connection.rows("DELETE FROM settings WHERE name = ?", name)
            return
        self._connection.rows("INSERT OR REPLACE INTO settings (name, json) VALUES (?, ?)", name, json.dumps(value))

    def time(self, name: str) -> datetime | None:
        """The time kept as `name` ("last_check", "next_check"); None when it is absent."""
        return _time(self.get(name))

    def put_time(self, name: str, when: datetime | None) -> None:
        """Keep a time; None removes it."""
        self.put(name, when.astimezone(timezone.utc).isoformat() if when else None)

    def paused(self) -> Pause | None:
        """Who paused updates here; None when nobody did."""
        found = self.get(_PAUSED)
        since = _time(found.get("since")) if isinstance(found, dict) else None
        return Pause(str(found["by"]), since) if since and "by" in found else None

    def put_paused(self, pause: Pause | None) -> None:
        """Keep the pause; None ends it."""
        plain = {"by": pause.by, "since": pause.since.astimezone(timezone.utc).isoformat()} if pause else None
        self.put(_PAUSED, plain)


def _time(text: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return when if when and when.tzinfo else None
