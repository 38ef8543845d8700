"""The journal: what this device meant to do, what happened, and what it owes to the fleet. One SQLite file.

Rules:
 1. A transition is one transaction: the record, its events and what was learnt about the release. It is on the medium
    when `transition` returns, and a cut at any instant leaves this one or the one before, whole.
 2. A file that cannot be used is set aside, kept, and said (`trouble`); the boot environment then decides.
 3. Nothing here grows without bound.
 4. Calls block for a few milliseconds (one commit: five syncs) and belong to one thread: the event loop's.
 5. Only the standard library is imported: otactl reads it within its CPU budget.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from otad.errors import Cause, Who
from otad.journal import schema
from otad.journal.aside import set_aside
from otad.journal.attempts import Attempts, Tries
from otad.journal.connection import Connection, JournalError, explain
from otad.journal.events import Events
from otad.journal.record import Records
from otad.journal.room import spare
from otad.journal.settings import Pause, Settings
from otad.statemachine import Record

if TYPE_CHECKING:
    from otad.formats.event import Event

__all__ = ["Attempts", "Events", "Journal", "JournalError", "Pause", "Settings", "Tries"]

_UNUSABLE = {"journal-damaged", "journal-io"}  # found on reading: a rotten block stays rotten, and a new file gets other blocks


class Journal:
    """The daemon's own, for reading and writing. Every method raises JournalError.

    events, attempts, settings  the nouns; each of their changes is durable, within `transaction` together with others
    connection                  for the outbox
    trouble                     what was found damaged at the start, to be told with the first check; None when all was well
    """

    def __init__(self, connection: Connection, keep: int, trouble: Cause | None = None) -> None:
        self.connection = connection
        self.events = Events(connection, keep)
        self.attempts = Attempts(connection)
        self.settings = Settings(connection)
        self._records = Records(connection)
        self.trouble = trouble or (_rotten(connection.path) if self._records.lost() else None)

    @classmethod
    def open(cls, path: Path, keep: int = 5000) -> Journal:
        """Open `path`; a damaged one is set aside and a fresh one made. `keep` events at most.

        Raises JournalError when it cannot be written: no data partition, read-only, full, held by another process.
        """
        connection, damage = _open(path)
        if damage is None:
            spare(connection)
            return cls(connection, keep)
        connection.close()
        try:
            kept = set_aside(path)
        except OSError as error:
            raise explain(error, path) from error
        connection, still = _open(path)
        if still is not None:
            connection.close()
            raise JournalError(
                "journal-io", f"the journal {path} cannot be made anew: {still}", "Look for errors of the medium in dmesg"
            )
        spare(connection)
        return cls(connection, keep, _set_aside(path, kept, damage))

    def load(self) -> Record | None:
        """The record as last saved; in ROLLBACK when a newer otad saved what this one does not understand; None: no record."""
        return self._records.load()

    def transition(self, record: Record, *events: Event, tries: Tries | None = None) -> None:
        """Save `record`, what happened on the way to it, and what was learnt about the release: all of it or nothing."""
        with self.transaction():
            self._records.save(record)
            for event in events:
                self.events.append(event)
            if tries:
                self.attempts.save(tries)

    def transaction(self) -> AbstractContextManager[None]:
        """Several changes as one: all of them or none, on the medium when it ends."""
        return self.connection.transaction()

    def migrate(self) -> None:
        """Bring the schema to this otad's version. At COMMIT only: before that an older otad may have to go on with it."""
        schema.migrate(self.connection)

    def close(self) -> None:
        """End it. Nothing is lost: every change was durable when it was made."""
        self.connection.close()


def _open(path: Path) -> tuple[Connection, str | None]:
    """The connection, and why the file cannot be used, in words; a fresh file gets its schema. Raises JournalError."""
    connection = Connection.writing(path)
    try:
        damage = _damage(connection)
        if damage is None and schema.version(connection) == 0:
            schema.migrate(connection)
    except JournalError:
        connection.close()
        raise
    return connection, damage


def _damage(connection: Connection) -> str | None:
    """What is wrong with the file, in words. Raises JournalError when that is not the file's own fault."""
    try:
        connection.prepare()
        return None if schema.fresh(connection) else schema.examine(connection)
    except JournalError as error:
        if error.cause.code not in _UNUSABLE:
            raise
        return error.cause.evidence["sqlite"]


def _set_aside(path: Path, kept: Path, damage: str) -> Cause:
    what = f"the journal {path} was damaged ({damage}) and was set aside as {kept.name}"
    remedy = "Nothing to do: the boot environment decides. If it happens again, check the medium (dmesg)"
    return Cause("journal-set-aside", what, remedy, Who.FIELD, {"damage": damage})


def _rotten(path: Path) -> Cause:
    what = f"the record in the journal {path} cannot be read: its check sum or its home slot is wrong"
    return Cause("record-lost", what, "Nothing to do: the boot environment decides. Check the medium (dmesg)", Who.FIELD)
