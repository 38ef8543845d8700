"""The events: what happened on this device, in order, bounded.

Rules:
 1. A sequence number is given once and never again; there are no gaps but the one at the old end.
 2. An event whose bits have rotted is left out, as if it had been dropped.
 3. At most `keep` events and MAX_BYTES of file: the oldest go first, told or not. The outbox says how many were lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from otad.journal.connection import Connection

if TYPE_CHECKING:
    from otad.formats.event import Event  # brings pydantic, which a reader must not pay for

_PAGE = "SELECT seq, json FROM events WHERE seq > ? AND json_valid(json) ORDER BY seq LIMIT ?"
MAX_BYTES = 16 * 2**20
_SHED = 10  # a tenth goes at once when the file is too big


class Events:
    """The table `events`. Every method raises JournalError."""

    def __init__(self, connection: Connection, keep: int = 5000, max_bytes: int = MAX_BYTES) -> None:
        self._connection = connection
        self._keep = keep
        self._max_bytes = max_bytes

    def append(self, event: Event) -> int:
        """Store `event`; its sequence number. One that is stored already (the same id) keeps its place."""
        with self._connection.transaction():
            self._connection.rows(
                "INSERT INTO events (id, json) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", event.id, event.to_json()
            )
            seq = int(self._connection.rows("SELECT seq FROM events WHERE id = ?", event.id)[0][0])
            self._connection.rows("DELETE FROM events WHERE seq <= ?", self.last() - self._keep)
            while self._used() > self._max_bytes and self.last() > self.first():
                oldest = self.first()
                self._connection.rows("DELETE FROM events WHERE seq <= ?", oldest + (self.last() - oldest) // _SHED)
        return seq

    def page(self, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Up to `limit` events that follow sequence number `after`, oldest first: the event's fields and its "seq"."""
        read = ((seq, _fields(text)) for seq, text in self.texts(after, limit))
        return [{"seq": seq, **fields} for seq, fields in read if fields is not None]

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest `limit` events, oldest of them first."""
        return self.page(max(0, self.last() - limit), limit)

    def texts(self, after: int, limit: int) -> list[tuple[int, str]]:
        """As `page`, but (sequence number, JSON text) as it was stored."""
        rows = self._connection.rows(_PAGE, after, limit)
        return [(int(seq), str(text)) for seq, text in rows]

    def first(self) -> int:
        """Sequence number of the oldest event that is kept; 0 when there is none."""
        return int(self._connection.rows("SELECT min(seq) FROM events")[0][0] or 0)

    def last(self) -> int:
        """Sequence number of the newest event; 0 when there is none."""
        return int(self._connection.rows("SELECT max(seq) FROM events")[0][0] or 0)

    def _used(self) -> int:
        """Bytes of the file that hold something; the rest is used again before the file grows."""
        pages, free, size = (
            self._connection.rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _fields(text: str) -> dict[str, Any] | None:
    """None where SQLite, which reads up to a NUL, finds it valid and Python does not."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
