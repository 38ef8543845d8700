"""The connection: the one place where SQLite is spoken to, and where its errors get words.

Rules:
 1. `with transaction()` is one commit, synced to the medium when it ends; a cut leaves all of it or nothing.
 2. Every sqlite3 error becomes a JournalError that says what to do.
 3. The rollback journal stays allocated (PERSIST): a transition still fits on a full disk. `docs/adr/0004-journal.md`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otad.errors import OtadError, Who

_SPARE = 256 * 1024  # bytes that the rollback journal keeps; an ordinary transition needs some 40 KiB
_BUSY_SECONDS = 1.0  # a reader holds its lock for milliseconds; one that hangs must not hang the daemon


class JournalError(OtadError):
    """The journal cannot be read or written. Nothing may be changed on the strength of it."""


class Connection:
    """A connection in one thread. Rows are tuples; every method raises JournalError."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        connection.text_factory = lambda data: data.decode(errors="replace")  # rotten text is text that does not parse

    @classmethod
    def writing(cls, path: Path) -> Connection:
        """Open `path`, made if it is missing (mode 0640: its group may read); its folder must exist."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
            return cls(path, sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None))
        except (OSError, sqlite3.Error) as error:
            raise explain(error, path) from error

    @classmethod
    def reading(cls, path: Path) -> Connection:
        """Open `path` for reading only; nothing is created, not even beside it."""
        try:
            uri = f"file:{quote(str(path))}?mode=ro"
            return cls(path, sqlite3.connect(uri, timeout=_BUSY_SECONDS, isolation_level=None, uri=True))
        except sqlite3.Error as error:
            raise explain(error, path) from error

    def prepare(self) -> None:
        """Choose how commits reach the medium; rule 3. The first to touch the file, so damage may show here."""
        self.rows("PRAGMA journal_mode=PERSIST")
        self.rows(f"PRAGMA journal_size_limit={_SPARE}")
        self.rows("PRAGMA synchronous=FULL")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement. Outside `transaction` a change is its own commit."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite's own words quote what is rotten in the schema
            raise explain(error, self.path) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when it ends. Within another one it is part of that."""
        if self._connection.in_transaction:
            yield
            return
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
            self.rows("COMMIT")
        finally:
            if self._connection.in_transaction:  # not after a COMMIT; and SQLite itself undoes some failures
                self.rows("ROLLBACK")

    def close(self) -> None:
        """End it; a transaction that is open is undone."""
        self._connection.close()


def explain(error: sqlite3.Error | OSError | UnicodeDecodeError, path: Path) -> JournalError:
    """The JournalError for `error`, told by its text (SQLite's errstr): Python 3.10 does not give the error code."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    code, remedy = next(((code, remedy) for part, code, remedy in _WORDS if part in said.lower()), _DAMAGED)
    return JournalError(code, f"the journal {path} cannot be used: {said}", remedy, who=Who.FIELD, evidence={"sqlite": said})


_DAMAGED = ("journal-damaged", "Restart otad: it sets the file aside and goes on from the boot environment")
_MOUNT = "Check that the data partition is mounted and writable (findmnt, dmesg), then restart otad"
_FREE = "Free space on the data partition; nothing is changed until the journal can be written"
_WORDS = (  # the first that is part of the error's text: code, remedy
    ("full", "journal-full", _FREE),
    ("no space", "journal-full", _FREE),
    ("quota", "journal-full", _FREE),
    ("locked", "journal-busy", "End the process that holds it (fuser), or try again"),
    ("i/o error", "journal-io", "Look for errors of the medium in dmesg"),
    ("readonly", "journal-unwritable", _MOUNT),
    ("read-only", "journal-unwritable", _MOUNT),
    ("unable to open", "journal-unwritable", _MOUNT),
    ("no such file", "journal-unwritable", _MOUNT),
    ("permission denied", "journal-unwritable", "Run as root, or give the user access to the file"),
    ("is a directory", "journal-unwritable", "Remove the folder that stands in its place"),
)
