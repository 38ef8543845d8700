"""The reporter: tells one sink what it is owed, in the background.

Rules:
 1. It never raises and never blocks an update; what keeps it from telling is `trouble`, and logged once.
 2. Tries are further and further apart, with jitter. A transition asks again at once; nobody asks before the time that the
    sink itself named.
 3. A batch that the sink will not take is halved until one event is left; that one is skipped after REFUSALS tries, with a
    log entry. One bad event must not silence a device for ever.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from otad.errors import Cause, OtadError, Rejected, RetryLater
from otad.journal import JournalError
from otad.report import Batch, Sink
from otad.report.outbox import Outbox

BATCH = 100  # events
REFUSALS = 5
LONGEST_NAMED = 86400.0  # seconds; a server that names more has a wrong clock
_log = logging.getLogger(__name__)


class Reporter:
    """Tells `sink` what `outbox` says. Use it on one event loop.

    backoff, backoff_max  seconds before the first new try; doubles up to the second
    jitter                gives a number in [0, 1): each wait is between half and all of its length
    """

    def __init__(
        self,
        outbox: Outbox,
        sink: Sink,
        *,
        backoff: float = 2.0,
        backoff_max: float = 300.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.trouble: Cause | None = None
        self._outbox = outbox
        self._sink = sink
        self._backoff = backoff
        self._backoff_max = backoff_max
        self._jitter = jitter
        self._woken = asyncio.Event()
        self._telling = asyncio.Lock()
        self._failures = 0
        self._refusals = 0
        self._size = BATCH
        self._not_before = 0.0  # the loop's time that the sink named

    def wake(self) -> None:
        """There is something new to tell."""
        self._woken.set()

    async def run(self) -> None:
        """Tell, and go on telling, until cancelled."""
        while True:
            self._woken.clear()
            if await self._tell():
                await self._woken.wait()
            else:
                await self._wait()

    async def flush(self, seconds: float) -> bool:
        """Tell what is owed now, in at most `seconds` and one try; True when nothing is owed any more."""
        try:
            return await asyncio.wait_for(self._tell(), seconds)
        except asyncio.TimeoutError:
            _log.warning("%s was not told everything: no answer in %g s", self._sink.name, seconds)
            return False

    async def _tell(self) -> bool:
        """Send batch after batch; False when the sink has to be asked again."""
        async with self._telling:
            if asyncio.get_running_loop().time() < self._not_before:
                return False
            try:
                while batch := self._outbox.next(self._size):
                    if not await self._send(batch):
                        return False
            except (RetryLater, JournalError) as error:
                self._failed(error)
                return False
            return True

    async def _send(self, batch: Batch) -> bool:
        """One batch; False when it was refused and waits for another try."""
        try:
            await self._sink.send(batch)
        except Rejected as error:
            if len(batch.events) > 1:
                self._size = max(1, len(batch.events) // 2)
                return True
            self._refusals += 1
            if self._refusals < REFUSALS:
                self._failed(error)
                return False
            _log.error("%s will never take this event, skipped: %s; %s", self._sink.name, batch.events[0][:500], error)
        self._outbox.told(batch)
        self._went_well()
        return True

    def _went_well(self) -> None:
        if self.trouble:
            _log.info("%s takes events again", self._sink.name)
        self.trouble = None
        self._failures = self._refusals = 0
        self._size = min(self._size * 2, BATCH)

    def _failed(self, error: OtadError) -> None:
        self._failures += 1
        if self.trouble is None or self.trouble.code != error.cause.code:
            _log.warning("%s cannot be told now, it is tried again: %s", self._sink.name, error)
        self.trouble = error.cause
        if isinstance(error, RetryLater) and error.retry_after is not None:
            self._not_before = asyncio.get_running_loop().time() + min(error.retry_after, LONGEST_NAMED)

    async def _wait(self) -> None:
        """Until the next try is due, or something new happens and the sink did not name a time."""
        longest = min(self._backoff * 2 ** min(max(self._failures - 1, 0), 30), self._backoff_max)
        named = self._not_before - asyncio.get_running_loop().time()
        if named > 0:
            await asyncio.sleep(named + longest * self._jitter())  # else a fleet comes back at the same instant
            return
        try:
            await asyncio.wait_for(self._woken.wait(), longest * (1 + self._jitter()) / 2)
        except asyncio.TimeoutError:
            return
