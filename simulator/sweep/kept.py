"""The product's own journal, on SQLite in memory: a device's `Memory` goes in, and comes out after each commit.

Rules:
 1. Every commit is one effect, told before and after: a cut leaves the memory from before it, or the one after it.
 2. What comes out is canonical: times are "due", "soon" or "later", causes are their codes. Nothing else decides anything.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from otad.errors import Cause
from otad.journal import Journal, JournalError, schema
from otad.journal.connection import Connection
from otad.journal.record import decode, encode
from otad.orders import FAILURES, LAST, NEXT, STAY
from otad.probation import UNTIL
from simulator.sweep.device import Memory

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
PROBATION = 3600.0  # seconds
KEEP = 100  # events; none of them decides anything
_SOON, _LATER = (NOW + timedelta(seconds=seconds) for seconds in (STAY - 1, 4 * 3600))
_UNLUCKY = 2  # failures of the link in a row that are told apart


class Effects(Connection):
    """A connection that calls `committed` after each commit, unless it `fails`."""

    def __init__(self, committed: Callable[[], None], fails: Callable[[], bool]) -> None:
        super().__init__(Path("memory"), sqlite3.connect(":memory:", isolation_level=None))
        self._committed = committed
        self._fails = fails
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """As the product's, and an effect when it is the outermost."""
        if self._depth:
            yield
            return
        self._depth = 1
        try:
            with super().transaction():
                yield
                if self._fails():
                    raise JournalError("journal-full", "the journal cannot be written", "")
        finally:
            self._depth = 0
        self._committed()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the product's; a change outside a transaction is an effect by itself."""
        found = super().rows(sql, *values)
        if not self._depth and sql.startswith(("INSERT", "DELETE", "UPDATE")):
            self._committed()
        return found


class Kept:
    """One journal for a whole exploration. `committed` is called with the new memory after each commit that did not fail."""

    def __init__(self, committed: Callable[[Memory], None], fails: Callable[[], bool]) -> None:
        self._committed = committed
        self._quiet = True
        self._now = Memory()
        self._connection = Effects(self._commit, lambda: not self._quiet and fails())
        schema.migrate(self._connection)
        self._quiet = False

    def holding(self, memory: Memory) -> Journal:
        """The journal, as the daemon opens it, holding `memory`."""
        if memory != self._now:
            self._quiet = True
            self._put(memory)
            self._quiet = False
        return Journal(self._connection, KEEP)

    def paused(self) -> bool:
        """A person paused updates here."""
        return any(name == "paused" for name, _ in self._now.settings)

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def _commit(self) -> None:
        found = None if self._quiet else self._get()
        if found and found != self._now:
            self._now = found
            self._committed(found)

    def _put(self, memory: Memory) -> None:
        rows = self._connection.rows
        with self._connection.transaction():
            for table in ("record", "attempts", "settings"):
                rows(f"DELETE FROM {table}")  # noqa: S608  # one of these three
            if memory.record is not None:
                rows("INSERT INTO record (id, json, crc) VALUES (1, ?, ?)", memory.record, zlib.crc32(memory.record.encode()))
            for attempt in memory.attempts:
                rows("INSERT INTO attempts (campaign, release, failures, refused, next_try) VALUES (?, ?, ?, ?, ?)", *attempt)
            for setting in memory.settings:
                rows("INSERT INTO settings (name, json) VALUES (?, ?)", *setting)
        self._now = memory

    def _get(self) -> Memory:
        rows = self._connection.rows
        record = rows("SELECT json FROM record")
        attempts = rows("SELECT campaign, release, failures, refused, next_try FROM attempts ORDER BY campaign, release")
        return Memory(
            _told(record[0][0]) if record else None,
            tuple(
                (c, r, failures, refused, _LATER.isoformat() if waits else None) for c, r, failures, refused, waits in attempts
            ),
            tuple((name, _setting(name, text)) for name, text in rows("SELECT name, json FROM settings ORDER BY name")),
        )


def later(memory: Memory) -> Memory:
    """Hours later: a check is due, what waited may be tried, probation and a person's pause are over."""
    settings = tuple(one for one in memory.settings if one[0] not in {LAST, NEXT, UNTIL, "paused"})
    return memory._replace(settings=settings, attempts=tuple((*attempt[:4], None) for attempt in memory.attempts))


@lru_cache(1 << 14)
def _told(text: str) -> str:
    """A record whose cause is its code alone: the words are for people."""
    record = decode(text)
    if record is None or record.cause is None:
        return text
    return encode(replace(record, cause=Cause(record.cause.code, "", "")))


@lru_cache(1 << 10)
def _setting(name: str, text: str) -> str:
    value = json.loads(text)
    if name == LAST:
        value = NOW.isoformat()
    elif name == NEXT:
        value = (_SOON if datetime.fromisoformat(value) <= _SOON else _LATER).isoformat()
    elif name == UNTIL:
        value = (NOW + timedelta(seconds=PROBATION)).isoformat()
    elif name == FAILURES:
        value = min(value, _UNLUCKY)
    return json.dumps(value)
