"""Orders: what people and the clock want of the device. The Orders port of the states, and what the desk puts into it.

Rules:
 1. An order wakes the machine; it is carried out by the state that it concerns, never beside it.
 2. A pause and the time of the next check outlive the process; other orders do not: who gave them sees them refused or done.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from otad.config import Config
from otad.errors import Cause, Who
from otad.journal import Journal
from otad.probation import Probation
from otad.schedule import due, following
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step

STAY = 900.0  # seconds: a check that is due sooner is waited for, a later one is left to a timer
RETRY = 60.0  # seconds before a failed check or download is tried again; doubles up to the check interval
LAST, NEXT, FAILURES = "last_check", "next_check", "check_failures"


class Orders:
    """What is wanted now. All methods belong to the event loop's thread.

    attached   how many clients hold the local API's socket; the daemon puts it in
    probation  watches the release that was committed last; the assembly puts it in
    hurry      set when a person wants the soak to end as soon as every check has passed
    abandon    set when a person wants the trial undone
    """

    def __init__(self, journal: Journal, config: Config, now: Callable[[], datetime]) -> None:
        self.hurry = asyncio.Event()
        self.abandon = asyncio.Event()
        self.probation: Probation | None = None
        self.attached: Callable[[], int] = lambda: 0
        self._journal = journal
        self._config = config
        self.now = now
        self._wake = asyncio.Event()
        self._interrupt = asyncio.Event()
        self._check = False
        self._version: str | None = None
        self._revert: Step | None = None
        self._stop: Step | None = None
        self._asking: list[asyncio.Future[Step]] = []
        self._busy = time.monotonic()

    # -- the port ---------------------------------------------------------------------------------------------------------

    async def next(self, record: Record) -> Step:
        """Wait until something is due, or nothing needs the process."""
        del record
        while True:
            self._wake.clear()
            if self._revert:
                order, self._revert = self._revert, None
                return order
            if self._check or self._due():
                self._check = False
                return Step(Outcome.DUE)
            if self.probation and (step := await self.probation.look()):
                return step
            wait = self._idle_for()
            if wait <= 0:
                return Step(Outcome.SLEEP)
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except asyncio.TimeoutError:
                continue

    async def disturbed(self) -> None:
        """Wait until somebody wants something, after `next` said SLEEP."""
        await self._wake.wait()

    def quiet(self) -> bool:
        """True when nobody has wanted anything since `next` looked, and nobody is being served."""
        return not (self._wake.is_set() or self.attached())

    async def interrupted(self, record: Record) -> Step:
        """Wait until a person cancels what runs, or pauses a download."""
        while True:
            self._interrupt.clear()
            step = self._stop
            if step and (step.outcome is Outcome.CANCELLED or record.state is State.DOWNLOAD):
                self._stop = None
                return step
            await self._interrupt.wait()

    def wanted(self) -> str | None:
        """The version that a person asked for."""
        return self._version

    def paused(self) -> Cause | None:
        """Who paused updates here."""
        pause = self._journal.settings.paused()
        if pause is None:
            return None
        since = pause.since.astimezone().strftime("%Y-%m-%d %H:%M")
        return Cause(
            "paused-here", f"updates are paused on this device by {pause.by} since {since}", "`otactl resume`", Who.FIELD
        )

    # -- what the desk puts in --------------------------------------------------------------------------------------------

    def check(self, version: str | None = None) -> asyncio.Future[Step]:
        """Look now, for `version` only if it is given; the future is the step with which CHECK ends. In IDLE only."""
        self._check, self._version = True, version or self._version
        asking: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        self._asking.append(asking)
        self._wake.set()
        return asking

    def revert(self, attempt: Attempt, cause: Cause | None) -> None:
        """Undo the committed release."""
        self._revert = Step(Outcome.REVERT, cause, attempt)
        self._wake.set()

    def cancel(self, cause: Cause) -> None:
        """Stop what runs and drop it."""
        self._stop = Step(Outcome.CANCELLED, cause)
        self._interrupt.set()

    def hold(self) -> None:
        """A pause was set: a download that runs stops where it is."""
        cause = self.paused()
        if cause:
            self._stop = Step(Outcome.HELD, cause)
            self._interrupt.set()

    def stir(self) -> None:
        """Look at the orders again: a pause ended, a refusal was lifted, a client left."""
        self._stop = None
        self._wake.set()

    # -- what the book says -----------------------------------------------------------------------------------------------

    def plan(self, before: Record, step: Step, after: Record, retry_at: datetime | None) -> None:
        """Within the transaction of a transition: when to look again, and what is on probation."""
        if self.probation and step.outcome is Outcome.REVERT:
            self.probation.end()
        if after.state is not State.IDLE or before.state is State.IDLE:
            return
        self._plan(before.state, step, retry_at)
        if self.probation and before.state is State.COMMIT and before.the_attempt.kind is not Kind.REVERT:
            self.probation.begin()  # a revert is not watched: two releases that fail must not take turns for ever

    def answer(self, before: Record, step: Step, after: Record) -> None:
        """After it: whoever asked for a check learns how it ended."""
        self._busy = time.monotonic()
        if after.state is State.IDLE:
            self._stop = None
        if before.state is State.CHECK:
            asking, self._asking, self._version = self._asking, [], None
            for future in asking:
                if not future.done():
                    future.set_result(step)

    def _plan(self, state: State, step: Step, retry_at: datetime | None) -> None:
        """When to look again: sooner after a failure of the link, at the time that somebody named, else after the interval."""
        now, check, settings = self.now(), self._config.check, self._journal.settings
        again = now + timedelta(seconds=step.retry_after) if step.retry_after is not None else retry_at
        unlucky = step.outcome is Outcome.FAILED and state in {State.CHECK, State.DOWNLOAD}
        failures = int(settings.get(FAILURES) or 0) + 1 if unlucky else 0
        if unlucky:  # a server may ask for more patience than ours, not for less
            wait = min(RETRY * 2 ** min(failures - 1, 16), check.interval) * (0.5 + random.random() / 2)
            again = max(again or now, now + timedelta(seconds=wait))
        settings.put(FAILURES, failures or None)
        settings.put_time(LAST, now)
        settings.put_time(NEXT, following(now, check.interval, check.jitter, random.random(), again))

    def _due(self) -> bool:
        settings = self._journal.settings
        return due(self.now(), settings.time(LAST), settings.time(NEXT))

    def left(self) -> float:
        """Seconds until the next check is due."""
        next_ = self._journal.settings.time(NEXT)
        return max((next_ - self.now()).total_seconds(), 0.01) if next_ else self._config.check.interval

    def _idle_for(self) -> float:
        """Seconds to wait before looking again; 0: nothing needs the process."""
        until = self.left()
        linger = self._config.daemon.linger - (time.monotonic() - self._busy)
        watched = self.probation.left() if self.probation else math.inf
        if self._config.daemon.resident or until <= STAY or watched < math.inf:
            return min(until, watched)
        if self.attached():
            return min(until, 1.0)
        return min(until, max(linger, 0.0))
