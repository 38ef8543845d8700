"""The outbox: what is owed to whom. A cursor into the events, for each sink.

Rules:
 1. The cursor moves after the sink has the events, never before. It is in the journal's file and survives what that survives.
 2. Only a sink that the settings name is owed anything: `only` says so when the daemon starts.
 3. Sequence numbers have no gaps, so what lies between the cursor and the next event that is kept was lost.
"""

from __future__ import annotations

from collections.abc import Collection

from otad.journal import Journal
from otad.journal.connection import Connection
from otad.report import Batch


class Outbox:
    """What is owed to one sink. Every method raises JournalError."""

    def __init__(self, journal: Journal, sink: str) -> None:
        """A sink that is new is owed what is still kept."""
        self._journal = journal
        self._sink = sink
        known = max(0, journal.events.first() - 1)
        journal.connection.rows("INSERT OR IGNORE INTO outbox (sink, sent) VALUES (?, ?)", sink, known)

    def next(self, events: int = 100, size: int = 256 * 1024) -> Batch | None:
        """The next batch: at most so many events, and bytes beyond the first event; None when nothing is owed."""
        sent = self._sent()
        texts: list[str] = []
        room, last = size, sent
        for seq, text in self._journal.events.texts(sent, events):
            room -= len(text)
            if texts and room < 0:
                break
            texts.append(text)
            last = seq
        return Batch(tuple(texts), last - sent - len(texts), last) if texts else None

    def told(self, batch: Batch) -> None:
        """The sink has `batch`, or never will."""
        self._journal.connection.rows("UPDATE outbox SET sent = max(sent, ?) WHERE sink = ?", batch.last, self._sink)

    def _sent(self) -> int:
        return int(self._journal.connection.rows("SELECT sent FROM outbox WHERE sink = ?", self._sink)[0][0])


def only(journal: Journal, sinks: Collection[str]) -> None:
    """Forget every sink that is not one of `sinks`: it is owed nothing; if it comes back, it is new. Raises JournalError."""
    for (sink,) in journal.connection.rows("SELECT sink FROM outbox"):
        if sink not in sinks:
            journal.connection.rows("DELETE FROM outbox WHERE sink = ?", sink)


def owed(connection: Connection) -> int:
    """How many events the sink that is furthest behind has not been told; 0 when there is no sink. Raises JournalError."""
    found = connection.rows("SELECT count(*) FROM events WHERE seq > (SELECT min(sent) FROM outbox)")
    return int(found[0][0])
