"""Probation: a committed release is watched for a while, and undone when it stops being healthy.

Rules:
 1. It begins at COMMIT, ends at a time that the journal keeps, and survives restarts and reboots in between.
 2. One failed round (each check with all its retries) is enough: the checks' own retries are the patience.
 3. Where there is nothing to go back to, it is only told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from otad.config import Health
from otad.errors import Cause, OtadError, Rejected
from otad.journal import Journal
from otad.statemachine import Attempt, Outcome, Step

UNTIL = "probation"  # setting: when it ends
log = logging.getLogger(__name__)


class Probation:
    """`glance` asks every check once; `undo` gives the attempt that undoes what runs, or raises Rejected."""

    def __init__(
        self,
        journal: Journal,
        settings: Health,
        now: Callable[[], datetime],
        glance: Callable[[], Awaitable[Cause | None]],
        undo: Callable[[], Attempt],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._now = now
        self._glance = glance
        self._undo = undo
        self._looked = float("-inf")

    def begin(self) -> None:
        """A release was committed now."""
        seconds = self._settings.probation
        self._journal.settings.put_time(UNTIL, self._now() + timedelta(seconds=seconds) if seconds else None)

    def end(self) -> None:
        """It is undone now."""
        self._journal.settings.put_time(UNTIL, None)

    def left(self) -> float:
        """Seconds until the next look; infinite when nothing is on probation."""
        until, now = self._journal.settings.time(UNTIL), self._now()
        if until is None or not timedelta(0) < until - now <= timedelta(seconds=self._settings.probation):
            return float("inf")  # over, or begun under another clock
        return max(0.0, self._looked + self._settings.interval - time.monotonic())

    async def look(self) -> Step | None:
        """Look if it is time to; REVERT when what runs is not healthy any more."""
        if self.left() > 0:
            return None
        self._looked = time.monotonic()
        cause = await self._glance()
        if cause is None:
            return None
        try:
            return Step(Outcome.REVERT, cause, self._undo())
        except Rejected as error:
            log.error("the release fails its checks in probation (%s), and cannot be undone: %s", cause, error)  # noqa: TRY400
            self.end()
        except OtadError as error:
            log.error("the release fails its checks in probation (%s); it is looked at again: %s", cause, error)  # noqa: TRY400
        return None
