"""The examination: all checks side by side, each through its retries and then through the soak time.

Rules:
 1. A required check must pass within its retries, and then hold: again and again until `soak` seconds after it first
    passed. Failing after its retries is final, at any time.
 2. All of it ends MARGIN seconds before the deadline, counted from boot, at which otad-deadline would reboot; what is not
    proved by then is not good.
 3. A person may end the soak early, once every required check has passed; or the whole of it, with a rollback.
 4. A check that is not required is asked and told, and decides nothing. No check at all: the device must last the soak time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from otad.config import Health
from otad.errors import Cause, OtadError, Who
from otad.health import EVIDENCE_BYTES, Finding, HealthVerdict, Plan

MARGIN = 60.0  # seconds; config.Health checks that the soak time fits before it
_GRACE = 10.0  # seconds beyond its own time-out after which a check is cut off


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Clock:
    """Seconds since boot, and a way to wait. When nothing was rebooted, `uptime` counts from the activation instead."""

    uptime: Callable[[], float] = _uptime
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def untold(_finding: Finding) -> None:
    """Nobody watches."""


async def examine(
    plans: Sequence[Plan],
    settings: Health,
    clock: Clock,
    *,
    hurry: asyncio.Event | None = None,
    abort: asyncio.Event | None = None,
    found: Callable[[Finding], None] = untold,
) -> HealthVerdict:
    """Whether the release is good.

    Args:
        plans: the checks, as `otad.health.load` makes them.
        settings: soak, interval and deadline.
        clock: real or simulated.
        hurry: set when a person asked for the commit.
        abort: set when a person asked for the rollback.
        found: called with each finding.
    """
    examination = _Examination(plans, settings, clock, settings.deadline - MARGIN, hurry or asyncio.Event(), found)
    watches = {asyncio.create_task(examination.watch(plan)) for plan in plans if plan.settings.required}
    watches.add(asyncio.create_task(examination.last()))
    beside = [asyncio.create_task(examination.watch(plan)) for plan in plans if not plan.settings.required]
    undo = asyncio.create_task(_undone(abort or asyncio.Event()))
    try:
        cause = await _settled(watches, undo)
    finally:
        examination.close()
        for task in (*watches, *beside, undo):
            task.cancel()
        await asyncio.gather(*watches, *beside, undo, return_exceptions=True)
    return HealthVerdict(tuple(examination.findings.values()), cause)


async def look(plans: Sequence[Plan], clock: Clock, found: Callable[[Finding], None] = untold) -> HealthVerdict:
    """Ask each check once, with its retries: what probation does at each interval. The cause is a required check's."""
    examination = _Examination(plans, Health(), clock, math.inf, asyncio.Event(), found)
    try:
        causes = await asyncio.gather(*map(examination.passes, plans))
    finally:
        examination.close()
    cause = next((cause for plan, cause in zip(plans, causes, strict=True) if cause and plan.settings.required), None)
    return HealthVerdict(tuple(examination.findings.values()), cause)


async def _undone(abort: asyncio.Event) -> Cause:
    await abort.wait()
    return Cause("undone-by-person", "a person asked for the rollback during the examination", "Nothing to do", Who.NOBODY)


async def _settled(watches: set[asyncio.Task[Cause | None]], undo: asyncio.Task[Cause]) -> Cause | None:
    """The first cause, or None when every watch has ended well."""
    pending = set(watches)
    while pending:
        done, _ = await asyncio.wait({*pending, undo}, return_when=asyncio.FIRST_COMPLETED)
        if undo in done:
            return undo.result()
        for watch in done & pending:
            cause = watch.result()
            if cause is not None:
                return cause
        pending -= done
    return None


class _Examination:
    """One run: what the watches share. `end` is the uptime by which all must be over."""

    def __init__(
        self,
        plans: Sequence[Plan],
        settings: Health,
        clock: Clock,
        end: float,
        hurry: asyncio.Event,
        found: Callable[[Finding], None],
    ) -> None:
        self.findings: dict[str, Finding] = {}
        self._settings = settings
        self._clock = clock
        self._end = end
        self._found = found
        self._to_pass = {plan.settings.name for plan in plans if plan.settings.required}
        self._passed = asyncio.Event()
        if not self._to_pass:
            self._passed.set()
        self._early = asyncio.create_task(self._enough(hurry))

    def close(self) -> None:
        self._early.cancel()

    async def watch(self, plan: Plan) -> Cause | None:
        """One check until the end of its soak; why it failed."""
        try:
            if cause := await self.passes(plan):
                return cause
            self._to_pass.discard(plan.settings.name)
            if not self._to_pass:
                self._passed.set()
            soaked = self._clock.uptime() + self._settings.soak
            while await self._rest_until(soaked, self._settings.interval):
                if cause := await self.passes(plan):
                    return cause
        except OtadError as error:
            return error.cause
        return None

    async def last(self) -> Cause | None:
        """The soak time itself: the device lasts it."""
        try:
            soaked = self._clock.uptime() + self._settings.soak
            while await self._rest_until(soaked, 0):
                pass
        except OtadError as error:
            return error.cause
        return None

    async def passes(self, plan: Plan) -> Cause | None:
        """Ask until it passes or its retries are used up; then why. Raises OtadError when there is no time left."""
        tries = plan.settings.retries + 1
        for number in range(tries):
            if number:
                await self._clock.sleep(min(plan.settings.retry_delay, self._left()))
            finding = await self._ask(plan)
            if finding.ok:
                return None
        return Cause(
            "check-failed",
            f"health check {finding.name} failed {'once' if tries == 1 else f'{tries} times'}: {finding.words}",
            "Read its output in the evidence; the next release has to pass it",
            Who.INTEGRATOR,
            {"check": finding.name, **finding.evidence},
        )

    async def _ask(self, plan: Plan) -> Finding:
        limit = min(plan.settings.timeout + _GRACE, self._left())
        name = plan.settings.name
        try:
            finding = await asyncio.wait_for(plan.check.run(), limit if limit < math.inf else None)
        except asyncio.TimeoutError:
            finding = Finding(name, ok=False, words=f"it was cut off after {limit:g} s")
        except OtadError as error:
            finding = Finding(name, ok=False, words=error.cause.what, evidence=error.cause.evidence)
        short = {key: text[-EVIDENCE_BYTES:] for key, text in finding.evidence.items()}
        finding = replace(finding, evidence=short)
        self.findings[name] = finding
        self._found(finding)
        return finding

    async def _rest_until(self, soaked: float, interval: float) -> bool:
        """Wait for the next round (0: for the end of the soak); False when the soak is over."""
        left = soaked - self._clock.uptime()
        if left <= 0 or self._early.done():
            return False
        nap = asyncio.create_task(self._nap(min(left, interval or left, self._left())))
        try:
            await asyncio.wait({nap, self._early}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
        return not self._early.done()

    async def _nap(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def _enough(self, hurry: asyncio.Event) -> None:
        await self._passed.wait()
        await hurry.wait()

    def _left(self) -> float:
        """Seconds until all must be over, more than 0. Raises OtadError when they are used up."""
        left = self._end - self._clock.uptime()
        if left > 0:
            return left
        raise OtadError(
            "health-too-late",
            f"the release did not prove itself in the first {self._end:g} s after boot",
            "Look for what starts late; raise health.deadline, or lower health.soak, if it needs that long",
            who=Who.INTEGRATOR,
            evidence={name: finding.words for name, finding in self.findings.items()},
        )
