"""Offers: what the repository has for this device, asked afresh whenever it matters. The Offers port.

Rules:
 1. Who may have what is decided by `admission` and `gate`, which are pure; here they get their facts.
 2. Before INSTALL and before arming the question is asked on fresh metadata: a pause reaches every device that has not armed.
    Unreachable: what was trusted less than `TRUSTED_FOR` ago still counts.
 3. What a person asked for on the device is held neither by the window nor by the wait after a failure; nothing else is lifted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ulid import ULID

from otad.admission import Device, Reason, Verdict, admits, choose
from otad.bootenv import Slot
from otad.config import Config
from otad.errors import Cause, Corrupt, OtadError, Rejected, RetryLater, Who
from otad.formats.campaign import Action, Campaign
from otad.formats.grant import Grant
from otad.formats.release import Release
from otad.gate import may_proceed
from otad.inhibitors import holding
from otad.journal import Journal
from otad.ports import Generations, Hold
from otad.remedies import of_obstacle, of_verdict
from otad.running import Running
from otad.statemachine import Attempt, Kind, Outcome
from otad.trust.catalogue import Catalogue
from otad.trust.client import Repository

TRUSTED_FOR = timedelta(hours=24)
log = logging.getLogger(__name__)

Judged = tuple[Campaign, Release | None, Verdict]


class RepositoryOffers:
    """Offers over the trusted repository."""

    def __init__(
        self,
        repository: Repository,
        config: Config,
        device_id: str,
        journal: Journal,
        generations: Generations,
        running: Callable[[], Running],
    ) -> None:
        self._repository = repository
        self._config = config
        self._device_id = device_id
        self._journal = journal
        self._generations = generations
        self._running = running

    async def best(self, wanted: str | None) -> Attempt | Hold:
        """An attempt at the best admitted release (`wanted` only, if given), or the reason of the most promising one."""
        catalogue = await self._repository.refresh()
        campaigns = [c for c in catalogue.rollouts.campaigns if wanted in {None, c.version}]
        judged, failures = await self._judge_all(catalogue, campaigns)
        chosen = choose((c, release) for c, release, verdict in judged if verdict.reason is Reason.ADMITTED and release)
        if chosen is None and failures:
            raise failures[0]
        if chosen is None:
            return self._none(wanted, [(campaign, verdict) for campaign, _, verdict in judged], catalogue)
        waiting = self._waiting(chosen[0]) if wanted is None else None
        return waiting or self._attempt(*chosen, asked=wanted is not None)

    async def still(self, attempt: Attempt) -> Hold | None:
        """Whether the attempt may go on: admission on fresh metadata, then pause, inhibitors and window."""
        if attempt.kind is Kind.REVERT:
            return None  # the way back to what was good is never held
        try:
            return await self._asked_again(attempt)
        except OtadError as error:  # a server's fault says nothing against the release: what was done is kept
            return Hold(Outcome.HELD, error.cause, error.retry_after if isinstance(error, RetryLater) else None)

    async def release(self, attempt: Attempt) -> Release:
        """The trusted release document of an attempt."""
        return await self._repository.release(attempt.version, attempt.release)

    async def _asked_again(self, attempt: Attempt) -> Hold | None:
        catalogue = await self._fresh()
        campaign = next((c for c in catalogue.rollouts.campaigns if c.id == attempt.campaign), None)
        if campaign is None or campaign.sha256 != attempt.release:
            what = f"the roll-out {attempt.campaign} of release {attempt.version} has ended"
            return Hold(Outcome.CANCELLED, of_verdict(Verdict(Reason.STOPPED, what)))
        release, verdict = await self._judge(catalogue, campaign, self._device(catalogue))
        if verdict.reason is not Reason.ADMITTED or release is None:
            outcome = Outcome.HELD if verdict.reason is Reason.PAUSED else Outcome.CANCELLED
            return Hold(outcome, of_verdict(verdict), _seconds(verdict.retry_at, catalogue.reading.now))
        return await self._gate(release, attempt)

    async def _fresh(self) -> Catalogue:
        """The catalogue as it is now; unreachable, the trusted one if it is fresh enough. Raises as `Repository.refresh`."""
        try:
            return await self._repository.refresh()
        except RetryLater as error:
            cached = await asyncio.to_thread(self._repository.cached)
            if cached is None or cached.age > TRUSTED_FOR:
                raise
            log.warning("going on by roll-outs that are %s old: %s", cached.age, error)
            return cached

    async def _judge_all(self, catalogue: Catalogue, campaigns: Sequence[Campaign]) -> tuple[list[Judged], list[Corrupt]]:
        """Every campaign's verdict, and what the server gave wrongly: one bad document must not stand in the others' way."""
        judged: list[Judged] = []
        failures: list[Corrupt] = []
        device = self._device(catalogue)
        for campaign in campaigns:
            try:
                judged.append((campaign, *(await self._judge(catalogue, campaign, device))))
            except Rejected as error:
                judged.append((campaign, None, Verdict(Reason.INCOMPATIBLE, error.cause.what)))
            except Corrupt as error:
                failures.append(error)
        return judged, failures

    async def _judge(self, catalogue: Catalogue, campaign: Campaign, device: Device) -> tuple[Release | None, Verdict]:
        grant, release = _granted(catalogue, campaign), None
        if grant:
            release = await self._repository.release(campaign.version, campaign.sha256)
        return release, admits(campaign, grant, release, device, catalogue.reading.now)

    def _device(self, catalogue: Catalogue) -> Device:
        running, config = self._running(), self._config
        listed = catalogue.releases.get(running.version)
        known = listed and running.release in {None, listed.sha256}
        return Device(
            id=self._device_id,
            product=config.device.product,
            hardware=hardware(config.device.hwrevision),
            version=running.version,
            channel=config.repository.channel,
            release=running.release,
            attributes=config.device.attributes,
            refused=frozenset((t.campaign, t.release) for t in self._journal.attempts.all() if t.refused),
            back_to=listed.grant.back_to if listed and known else (),
        )

    def _waiting(self, campaign: Campaign) -> Hold | None:
        """A release that failed here and whose next try has not come."""
        tries, now = self._journal.attempts.of(campaign.id, campaign.sha256), datetime.now(timezone.utc)
        if tries.due(now, self._config.attempts.backoff) or tries.next_try is None:
            return None
        when = f"{tries.next_try:%Y-%m-%d %H:%M} UTC"
        why = f" ({tries.cause.what})" if tries.cause else ""
        what = f"release {campaign.version} failed {tries.failures} time(s) here and is tried again at {when}{why}"
        cause = Cause("waiting", what, "`otactl retry` tries it now", Who.NOBODY)
        return Hold(Outcome.HELD, cause, _seconds(tries.next_try, now))

    def _attempt(self, campaign: Campaign, release: Release, *, asked: bool) -> Attempt:
        target = self._target() if release.system else None
        there = self._generations.at(target) if target else None
        return Attempt(
            id=str(ULID()),
            kind=Kind.BACK if campaign.action is Action.BACK else Kind.UPDATE,
            campaign=campaign.id,
            release=campaign.sha256,
            version=release.version,
            target=target,
            generation=there.number if there and there.release == campaign.sha256 else None,
            reachable=True,
            asked=asked,
        )

    def _target(self) -> Slot | None:
        booted = self._running().slot
        return booted.other if booted else None

    def _none(self, wanted: str | None, judged: Sequence[tuple[Campaign, Verdict]], catalogue: Catalogue) -> Hold:
        """Why there is nothing: the verdict that came furthest in the order of `Reason`; a pause keeps the cache."""
        if not judged:
            known = ", ".join(c.version for c in catalogue.rollouts.campaigns) or "none"
            what = f"no roll-out of {wanted or 'any release'} in channel {catalogue.rollouts.channel} (there is: {known})"
            return Hold(Outcome.CANCELLED, Cause("no-rollout", what, "Start one: `otarepo rollout start`", Who.INTEGRATOR))
        order = list(Reason)
        verdicts = [verdict for _, verdict in judged]
        current = next((v for v in verdicts if v.reason is Reason.CURRENT), None)
        best = max(verdicts, key=lambda v: order.index(v.reason))
        if current and best.reason in {Reason.OLDER, Reason.CURRENT, Reason.STOPPED}:
            best = current
        paused = any(verdict.reason is Reason.PAUSED for verdict in verdicts)
        outcome = Outcome.HELD if paused else Outcome.CANCELLED
        return Hold(outcome, of_verdict(best), _seconds(best.retry_at, catalogue.reading.now))

    async def _gate(self, release: Release, attempt: Attempt) -> Hold | None:
        closed = may_proceed(
            self._config.window,
            datetime.now().astimezone(),
            critical=release.critical or attempt.asked,
            paused=self._journal.settings.paused() is not None,
            inhibitors=await holding(self._config.reboot.inhibitors),
        )
        if closed is None:
            return None
        seconds = _seconds(closed.opens, datetime.now().astimezone())
        return Hold(Outcome.HELD, of_obstacle(closed), seconds)


def hardware(file: Path) -> str:
    """SWUpdate's hwrevision file: board and revision. Raises RetryLater when it cannot be read."""
    try:
        return " ".join(file.read_text(encoding="utf-8").split())
    except OSError as error:
        raise RetryLater(
            "hwrevision-missing",
            f"cannot read {file}: {error.strerror}",
            f"Write board and revision into {file}",
            who=Who.OS_BUILDER,
        ) from error


def _granted(catalogue: Catalogue, campaign: Campaign) -> Grant | None:
    listed = catalogue.releases.get(campaign.version)
    return listed.grant if listed and listed.sha256 == campaign.sha256 else None


def _seconds(when: datetime | None, now: datetime) -> float | None:
    return max((when - now).total_seconds(), 0.0) if when else None
