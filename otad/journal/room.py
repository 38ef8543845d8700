"""Room for what comes next: a disk that fills up behind our back must not keep a failure from being noted.

Rules:
 1. The file has free pages of its own, some thirty transitions' worth; they are made at the start, while there is room.
 2. They are written once, so that they have blocks on the medium, then given to SQLite's freelist
    (https://www.sqlite.org/fileformat2.html#the_freelist).
 3. Without room for them the journal works as long as it need not grow.
"""

from __future__ import annotations

import logging

from otad.journal.connection import Connection, JournalError

SPARE = 256 * 1024  # bytes
_log = logging.getLogger(__name__)


def spare(connection: Connection) -> None:
    """Have at least half of SPARE free, if there is room. Raises JournalError for anything but a full disk."""
    free, size = (int(connection.rows(f"PRAGMA {name}")[0][0]) for name in ("freelist_count", "page_size"))
    if free * size >= SPARE // 2:
        return
    try:
        connection.rows("REPLACE INTO settings (name, json) VALUES ('spare', zeroblob(?))", SPARE)
        connection.rows("DELETE FROM settings WHERE name = 'spare'")
    except JournalError as error:
        if error.cause.code != "journal-full":
            raise
        _log.warning("%s", error.cause)
