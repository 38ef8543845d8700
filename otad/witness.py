"""The witness: what is told to the fleet in time, and what is kept of a failed boot. The Witness port."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from otad.errors import Cause
from otad.evidence import Collector
from otad.report.reporter import Reporter
from otad.statemachine import Attempt
from otad.watchdog import caused_this_boot

log = logging.getLogger(__name__)


class ReportingWitness:
    """Witness over the reporter (None: nobody is told) and the archive of evidence."""

    def __init__(self, reporter: Reporter | None, evidence: Collector) -> None:
        self._reporter = reporter
        self._evidence = evidence

    async def say(self, seconds: float) -> None:
        """Tell the fleet what it is owed; what cannot be told in time stays owed."""
        if self._reporter and not await self._reporter.flush(seconds):
            log.info("the fleet could not be told everything in %g s; it is told later", seconds)

    async def collect(self, attempt: Attempt | None, cause: Cause | None, *, this_boot: bool) -> Mapping[str, str]:
        """Keep the logs of the failed boot (this one, or the one before it); the end of them, and where all of it is."""
        found = await self._evidence.collect(attempt.id if attempt else "none", cause, this_boot=this_boot)
        if not this_boot and (reset := caused_this_boot()) is not None:
            found["watchdog"] = "the hardware watchdog reset the board" if reset else "the hardware watchdog did not act"
        return found
