"""The schema: tables, their version, and whether a file that is found can be used.

Rules:
 1. A version only adds tables and columns, each with a default: what an older otad reads and writes by name stays.
 2. It is migrated at COMMIT only. Until then the newer otad works on the older schema: a trial that fails leaves it untouched.
 3. A newer version is used as it is, never taken down.
"""

from __future__ import annotations

from otad.journal.connection import Connection

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE record (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, crc INTEGER NOT NULL)",
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL)",
        """CREATE TABLE attempts (campaign TEXT NOT NULL, release TEXT NOT NULL, failures INTEGER NOT NULL,
           refused INTEGER NOT NULL, next_try TEXT, cause TEXT, PRIMARY KEY (campaign, release))""",
        "CREATE TABLE settings (name TEXT PRIMARY KEY, json TEXT NOT NULL)",
        "CREATE TABLE outbox (sink TEXT PRIMARY KEY, sent INTEGER NOT NULL)",
    ),
)
"""MIGRATIONS[n] leads from version n to n + 1; a fresh file (version 0) goes through all of them."""

_NEEDED = {
    "record": "id, json, crc",
    "events": "seq, id, json",
    "attempts": "campaign, release, failures, refused, next_try, cause",
    "settings": "name, json",
    "outbox": "sink, sent",
}


def version(connection: Connection) -> int:
    """The schema version of the file; 0 for a fresh one."""
    return int(connection.rows("PRAGMA user_version")[0][0])


def fresh(connection: Connection) -> bool:
    """True when the file has no table at all. Reading it undoes a transaction that a power cut left half written."""
    return not connection.rows("SELECT 1 FROM sqlite_master LIMIT 1")


def examine(connection: Connection) -> str | None:
    """What is wrong with the file, in words; None when it can be used. Raises JournalError as SQLite reports damage."""
    found = "; ".join(str(row[0]) for row in connection.rows("PRAGMA quick_check(3)"))
    if found != "ok":
        return found
    if version(connection) < 1:
        return "it has tables but no schema version"
    for table, columns in _NEEDED.items():
        connection.rows(f"SELECT {columns} FROM {table} LIMIT 1")  # noqa: S608  # both are constants above
    return None


def migrate(connection: Connection) -> None:
    """Bring the file to this otad's version, in one transaction. A newer file is left as it is."""
    with connection.transaction():
        for script in MIGRATIONS[version(connection) :]:
            for statement in script:
                connection.rows(statement)
        if version(connection) < len(MIGRATIONS):
            connection.rows(f"PRAGMA user_version={len(MIGRATIONS)}")
