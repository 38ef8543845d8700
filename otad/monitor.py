"""The monitor: what can be watched of a running daemon. Progress, findings, and everybody who follows the events.

Rules:
 1. Followers read the journal themselves from where they are; what is broadcast is only that something changed.
 2. Progress is broadcast at most every `PACE` seconds, and always when a step is complete.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from otad.control import status
from otad.control.history import EVENTS, attempts
from otad.control.progress import Progress, sample
from otad.health import Finding
from otad.journal import Journal
from otad.report.outbox import owed
from otad.running import Running

PACE = 0.25


class Monitor:
    """What desk and server show. All methods belong to the event loop's thread."""

    def __init__(self, journal: Journal, running: Callable[[], Running], beat: Callable[[], None]) -> None:
        """`beat` is called whenever something moves: bytes, or a check."""
        self._journal = journal
        self.running = running
        self._beat = beat
        self._progress: Progress | None = None
        self._findings: dict[str, Finding] = {}
        self._changed = asyncio.Event()
        self._shown = 0.0

    def advance(self, step: str, done: int, total: int) -> None:
        """`done` of `total` bytes of `step` are done."""
        self._beat()
        now = time.monotonic()
        self._progress = sample(self._progress, step, done, total, now)
        if done >= total or now - self._shown >= PACE:
            self._shown = now
            self._stir()

    def found(self, finding: Finding) -> None:
        """A health check has spoken."""
        self._beat()
        self._findings[finding.name] = finding

    def turned(self) -> None:
        """A transition is over: its progress is history, its event is in the journal."""
        self._progress = None
        self._stir()

    def status(self) -> dict[str, Any]:
        """The status document."""
        now = self.running()
        facts = status.Facts(
            version=now.version,
            slot=now.slot.value if now.slot else None,
            release=now.release,
            unsent=owed(self._journal.connection),
            awake=True,
            progress=self._progress,
            trouble=self._journal.trouble,
        )
        return status.read(self._journal, facts)

    def health(self) -> dict[str, Any]:
        """The last finding of each check."""
        return {"checks": [finding.document() for finding in self._findings.values()]}

    def history(self, limit: int) -> list[dict[str, Any]]:
        """Past attempts, newest first."""
        return attempts(self._journal.events.latest(EVENTS))[:limit]

    async def follow(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Stored events after sequence number `after`, then new ones as they come, with progress in between."""
        while True:
            changed = self._changed
            while page := self._journal.events.page(after):
                for event in page:
                    after = event["seq"]
                    yield event
            if self._progress:
                yield self._progress.document()
            await changed.wait()

    def _stir(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
