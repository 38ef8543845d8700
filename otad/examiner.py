"""The examiner: the configured health checks, asked of what runs now. The Health port."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from otad.config import Config
from otad.errors import Cause
from otad.health import Around, Finding, load
from otad.health.examination import Clock, examine, look
from otad.orders import Orders
from otad.statemachine import Attempt


class CheckExaminer:
    """Health over `otad.health`. `reach` asks the repository for something small; `found` is told every finding."""

    def __init__(
        self, config: Config, orders: Orders, reach: Callable[[], Awaitable[None]], found: Callable[[Finding], None]
    ) -> None:
        self._settings = config.health
        self._around = Around(config.reboot.systemctl, reach)
        self._orders = orders
        self._found = found
        load(self._settings, self._around)  # a mistake in the settings is said at the start, not in a trial

    async def examine(self, attempt: Attempt) -> Cause | None:
        """Through the soak time, counted from boot; from now when nothing was rebooted."""
        began = time.monotonic()
        clock = Clock() if attempt.target else Clock(uptime=lambda: time.monotonic() - began)
        plans = load(self._settings, self._around, reachable=attempt.reachable)
        verdict = await examine(
            plans, self._settings, clock, hurry=self._orders.hurry, abort=self._orders.abandon, found=self._found
        )
        self._orders.hurry.clear()
        self._orders.abandon.clear()
        return verdict.cause

    def glances(self) -> Callable[[], Awaitable[Cause | None]]:
        """For probation: each call asks every check once, with its retries. A link that is down undoes nothing."""
        plans = load(self._settings, self._around, reachable=False)

        async def glance() -> Cause | None:
            return (await look(plans, Clock(), self._found)).cause

        return glance
