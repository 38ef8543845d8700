"""May this device have this release now? Pure: documents, facts and the time in; a verdict in words out.

Rules:
 1. The first reason that holds, in the order of `Reason`, is the verdict.
 2. A device's place in the queue depends on its id and the release alone: a campaign that is started again re-rolls nothing,
    and as time goes by and curves rise, who was admitted stays admitted.
 3. The online key (the campaign) only narrows what the offline keys (the grant) allow. No floating point decides who is in.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from semver import Version

from otad.formats import newer
from otad.formats.campaign import Action, Campaign, CampaignState
from otad.formats.curve import MILLION, Curve
from otad.formats.grant import Grant, Opening
from otad.formats.release import Release


class Reason(str, Enum):
    """Why, or why not, in the order in which they are looked at."""

    STOPPED = "stopped"
    PAUSED = "paused"
    CURRENT = "current"
    REFUSED = "refused"  # it failed here, in this campaign
    NOT_SELECTED = "not_selected"
    NOT_GRANTED = "not_granted"  # not listed, withdrawn, or the channel is not open to it
    INCOMPATIBLE = "incompatible"
    OLDER = "older"
    NEEDS_STEP = "needs_step"
    NOT_YET = "not_yet"
    ADMITTED = "admitted"


class Attack(str, Enum):
    """What the holder of a stolen roll-outs' key would want, and the grant does not give. A mistake looks the same."""

    ARBITRARY_SOFTWARE = "arbitrary software"  # a release that the offline keys do not list
    REVOKED_SOFTWARE = "revoked software"  # one that they withdrew
    CHANNEL_CROSSING = "channel crossing"
    ROLLBACK = "rollback"
    SKIPPED_PACE = "skipped pace"


@dataclass(frozen=True)
class Device:
    """What is asked of a device.

    id          at least 96 random bits, or the integrator's name for it
    hardware    board and revision as SWUpdate reads them ("jetson-nano 1.0")
    version     the committed, running version
    release     SHA-256 of its document; None for a factory image
    attributes  its own, from its settings; `hardware` and `version` are added
    refused     (campaign id, release SHA-256) pairs that are not tried again
    back_to     versions that the grant of the running release allows to go back to
    """

    id: str
    product: str
    hardware: str
    version: str
    channel: str
    release: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    refused: frozenset[tuple[str, str]] = frozenset()
    back_to: tuple[str, ...] = ()

    @property
    def matchable(self) -> Mapping[str, str]:
        """What a Match looks at. The built-in names win: a device cannot claim other hardware in its settings."""
        return {**self.attributes, "hardware": self.hardware, "version": self.version}


@dataclass(frozen=True)
class Verdict:
    """The reason, a sentence for people, when to ask again if that is known (aware), and which attack it would be if meant."""

    reason: Reason
    detail: str
    retry_at: datetime | None = None
    attack: Attack | None = None


def digest(release_sha256: str, device_id: str) -> bytes:
    """SHA-256 of the release document's hash (32 bytes) and the device id; its hex begins what `Campaign.devices` lists."""
    return hashlib.sha256(bytes.fromhex(release_sha256) + device_id.encode()).digest()


def bucket(release_sha256: str, device_id: str) -> int:
    """The device's place in the queue for this release: uniform in [0, 2**64)."""
    return int.from_bytes(digest(release_sha256, device_id)[:8], "big")


def within(place: int, ppm: int) -> bool:
    """True when a bucket is among the first `ppm` parts per million."""
    return place * MILLION < ppm << 64


def admits(campaign: Campaign, grant: Grant | None, release: Release | None, device: Device, now: datetime) -> Verdict:
    """The verdict at `now` (aware).

    `grant` is None when the current trusted releases role does not list this version with the campaign's hash; only then may
    `release` be None too.
    """
    verdict = _by_campaign(campaign, device)
    if verdict:
        return verdict
    if grant is None or release is None:
        words = f"release {campaign.version} ({campaign.sha256[:12]}) is not listed by the offline keys"
        return _say(Reason.NOT_GRANTED, words, Attack.ARBITRARY_SOFTWARE)
    return _by_grant(campaign, grant, device) or _by_release(campaign, release, device) or _by_pace(campaign, grant, device, now)


def choose(admitted: Iterable[tuple[Campaign, Release]]) -> tuple[Campaign, Release] | None:
    """The best of several admitted: the way back, then critical ones, then the highest version."""
    return max(admitted, key=_rank, default=None)


def _rank(offer: tuple[Campaign, Release]) -> tuple[bool, bool, Version, datetime]:
    campaign, release = offer
    return campaign.action is Action.BACK, release.critical, Version.parse(release.version), campaign.started


def _by_campaign(campaign: Campaign, device: Device) -> Verdict | None:
    """What the campaign alone decides."""
    if campaign.state is not CampaignState.RUNNING:
        return _say(Reason(campaign.state.value), f"the roll-out {campaign.id} of {campaign.version} is {campaign.state.value}")
    if device.release == campaign.sha256 or (device.release is None and device.version == campaign.version):
        return _say(Reason.CURRENT, f"the device runs {campaign.version} already")
    if (campaign.id, campaign.sha256) in device.refused:
        return _say(Reason.REFUSED, f"release {campaign.version} failed here before, in the roll-out {campaign.id}")
    if not campaign.only.holds(device.matchable):
        return _say(Reason.NOT_SELECTED, f"the roll-out {campaign.id} is for other devices ({_words(campaign.only.root)})")
    if campaign.devices and digest(campaign.sha256, device.id).hex()[:16] not in campaign.devices:
        return _say(Reason.NOT_SELECTED, f"the roll-out {campaign.id} names {len(campaign.devices)} devices, not this one")
    return None


def _by_grant(campaign: Campaign, grant: Grant, device: Device) -> Verdict | None:
    """What the offline keys allow at all."""
    if grant.withdrawn:
        return _say(Reason.NOT_GRANTED, f"release {campaign.version} is withdrawn", Attack.REVOKED_SOFTWARE)
    if device.channel not in grant.channels:
        opened = ", ".join(sorted(grant.channels)) or "none"
        words = f"release {campaign.version} is not open to the channel {device.channel} (open: {opened})"
        return _say(Reason.NOT_GRANTED, words, Attack.CHANNEL_CROSSING)
    return None


def _by_release(campaign: Campaign, release: Release, device: Device) -> Verdict | None:
    """Whether it fits the device, and is not a step the wrong way."""
    if release.product != device.product:
        return _say(Reason.INCOMPATIBLE, f"release {release.version} is for {release.product}; this device is {device.product}")
    if device.hardware not in release.hardware:
        boards = ", ".join(release.hardware)
        return _say(Reason.INCOMPATIBLE, f"release {release.version} runs on {boards}; this board is {device.hardware}")
    if campaign.action is Action.BACK:
        if release.version in device.back_to:
            return None
        words = f"release {device.version} does not allow going back to {release.version}"
        return _say(Reason.OLDER, words, Attack.ROLLBACK)
    if not newer(release.version, device.version):
        words = f"release {release.version} is not newer than the running {device.version}"
        return _say(Reason.OLDER, words, Attack.ROLLBACK)
    if release.min_version and newer(release.min_version, device.version):
        words = f"release {release.version} needs {release.min_version} first; the device runs {device.version}"
        return _say(Reason.NEEDS_STEP, words)
    return None


def _by_pace(campaign: Campaign, grant: Grant, device: Device, now: datetime) -> Verdict:
    """Whether it is the device's turn: within the campaign's curve, and within the opening's unless that lets it go free."""
    place = bucket(campaign.sha256, device.id)
    opening = grant.channels[device.channel]
    paces = [(_curve(campaign, device), campaign.started)]
    if not _free(opening, device):
        paces.append((opening.curve, opening.opened))
    reached = [curve.at((now - start).total_seconds()) for curve, start in paces]
    if within(place, min(reached)):
        return _say(Reason.ADMITTED, f"release {campaign.version} by the roll-out {campaign.id}")
    when = f"not in phase {campaign.phase} yet" if campaign.phase else "not yet"
    words = f"{when} (bucket {place / 2**64:.4f} > {min(reached) / MILLION:.4f})"
    if not within(place, reached[0]):
        return Verdict(Reason.NOT_YET, words, _turn(place, paces))
    words += f": the roll-out is ahead of the pace that the offline keys set for the channel {device.channel}"
    return Verdict(Reason.NOT_YET, words, _turn(place, paces), Attack.SKIPPED_PACE)


def _curve(campaign: Campaign, device: Device) -> Curve:
    return next((curve for match, curve in campaign.strata if match.holds(device.matchable)), campaign.curve)


def _free(opening: Opening, device: Device) -> bool:
    return opening.free is not None and opening.free.holds(device.matchable)


def _turn(place: int, paces: Iterable[tuple[Curve, datetime]]) -> datetime | None:
    """When every curve has reached the bucket; None when one never does. Whole seconds, rounded up: never too early."""
    needed = (place * MILLION >> 64) + 1
    turns = []
    for curve, start in paces:
        seconds = curve.when(needed)
        if seconds is None or math.ceil(seconds) > (datetime.max.replace(tzinfo=start.tzinfo) - start).total_seconds():
            return None
        turns.append(start + timedelta(seconds=math.ceil(seconds)))
    return max(turns)


def _words(match: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {' or '.join(values)}" for name, values in match.items())


def _say(reason: Reason, detail: str, attack: Attack | None = None) -> Verdict:
    return Verdict(reason, detail, attack=attack)
