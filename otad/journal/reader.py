"""Reading the journal of a daemon that sleeps."""

from __future__ import annotations

from pathlib import Path

from otad.journal.attempts import Attempts
from otad.journal.connection import Connection
from otad.journal.events import Events
from otad.journal.record import Records
from otad.journal.settings import Settings
from otad.statemachine import Record


class Reader:
    """The journal of a daemon that sleeps, for reading; needs no right to write. Every method raises JournalError.

    After a power cut, until otad has started once, the file may be half written: "journal-unwritable" then says so.
    """

    def __init__(self, path: Path) -> None:
        self.connection = Connection.reading(path)
        self.events = Events(self.connection)
        self.attempts = Attempts(self.connection)
        self.settings = Settings(self.connection)
        self._records = Records(self.connection)

    def load(self) -> Record | None:
        """As `Journal.load`."""
        return self._records.load()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
