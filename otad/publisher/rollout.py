"""Roll-outs: who may have which release now, within what the grants allow. Needs the online key only.

Rules:
 1. A device that was admitted stays admitted: no command makes a campaign's pace fall below where it is.
 2. A pause stops the campaign's clock. Without that, resuming after a week-end would let the whole missed pace in at once.
 3. A stopped campaign is over: devices drop what they fetched for it. A new one is started in its place.
 4. Devices take the smaller of campaign and grant, so a campaign that is faster than its grant is no danger; it is only said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from otad.errors import Rejected, Who
from otad.formats.campaign import Action, Campaign, CampaignState, Rollouts
from otad.formats.curve import Curve, Match
from otad.formats.grant import Opening
from otad.publisher import grants, release, wayback
from otad.publisher.notation import checked
from otad.publisher.roles import RELEASES, ROLLOUTS
from otad.publisher.workspace import Workspace


@dataclass(frozen=True)
class NewCampaign:
    """What a campaign is to be. See `otad.formats.campaign.Campaign`. No curve: the pace that the grant allows."""

    version: str
    curve: Curve | None = None
    action: Action = Action.UPDATE
    phase: str = ""
    strata: tuple[tuple[Match, Curve], ...] = ()
    only: Match = field(default_factory=Match)
    devices: tuple[str, ...] = ()


def start(ws: Workspace, channel: str, new: NewCampaign, *, now: datetime) -> Campaign:
    """Begin a campaign in `channel`.

    Raises Rejected("channel-closed"), Rejected("release-withdrawn"), Rejected("campaign-exists"), and as `wayback.check` does.
    """
    with ws.writing("rollout start"):
        opening = granted(ws, channel, new.version)
        target = release.find(ws, ws.roles.targets(RELEASES), new.version)
        campaigns = read(ws, channel).campaigns
        if any(old.version == new.version and old.state is not CampaignState.STOPPED for old in campaigns):
            what = f"{channel} already has a campaign of {new.version}"
            raise Rejected("campaign-exists", what, "Advance, pause or stop that one", who=Who.INTEGRATOR)
        campaign = checked(
            Campaign,
            "campaign-invalid",
            id=_next_id(campaigns, new.version),
            version=new.version,
            sha256=target.hashes["sha256"],
            action=new.action,
            started=now,
            phase=new.phase,
            curve=new.curve or opening.curve,
            strata=new.strata,
            only=new.only,
            devices=new.devices,
        )
        wayback.check(ws, channel, campaigns, campaign)
        _save(ws, channel, (*campaigns, campaign), now)
        return campaign


def advance(ws: Workspace, channel: str, ppm: int, phase: str = "", campaign: str | None = None, *, now: datetime) -> Campaign:
    """Raise the pace to at least `ppm` from now on; what the curve had planned beyond that stays planned.

    Raises Rejected("advance-behind") when the pace is that high already.
    """

    def faster(old: Campaign) -> Campaign:
        elapsed = max(0, math.floor(((old.paused or now) - old.started).total_seconds()))
        slowest = min(curve.at(elapsed) for curve in (old.curve, *(curve for _, curve in old.strata)))
        if ppm <= slowest:
            what = f"{old.id} is at {slowest / 10_000:g} % already, and never goes back"
            raise Rejected("advance-behind", what, "Give a larger share, or pause or stop it", who=Who.INTEGRATOR)
        strata = tuple((match, raised(curve, elapsed, ppm)) for match, curve in old.strata)
        return old.model_copy(update={"curve": raised(old.curve, elapsed, ppm), "strata": strata, "phase": phase or old.phase})

    return _change(ws, channel, campaign, faster, "rollout advance", now)


def pause(ws: Workspace, channel: str, campaign: str | None = None, *, now: datetime) -> Campaign:
    """Let no further device in, nor install or arm; what they fetched they keep."""

    def paused(old: Campaign) -> Campaign:
        since = old.paused or now
        return old.model_copy(update={"state": CampaignState.PAUSED, "paused": since})

    return _change(ws, channel, campaign, paused, "rollout pause", now)


def resume(ws: Workspace, channel: str, campaign: str | None = None, *, now: datetime) -> Campaign:
    """Go on where a pause began."""

    def running(old: Campaign) -> Campaign:
        shift = now - old.paused if old.paused else now - now
        return old.model_copy(update={"state": CampaignState.RUNNING, "paused": None, "started": old.started + shift})

    return _change(ws, channel, campaign, running, "rollout resume", now)


def stop(ws: Workspace, channel: str, campaign: str | None = None, *, now: datetime) -> Campaign:
    """End it for good; devices that have not armed it drop it."""

    def stopped(old: Campaign) -> Campaign:
        return old.model_copy(update={"state": CampaignState.STOPPED, "paused": None})

    return _change(ws, channel, campaign, stopped, "rollout stop", now)


def read(ws: Workspace, channel: str) -> Rollouts:
    """The newest roll-outs of `channel`, published or not; empty when there were none."""
    path = f"{ROLLOUTS}/{channel}.json"
    target = ws.roles.targets(ROLLOUTS).targets.get(path)
    return Rollouts.decode(ws.read(target), path) if target else checked(Rollouts, "channel-name", channel=channel)


def granted(ws: Workspace, channel: str, version: str) -> Opening:
    """What the grant of `version` allows in `channel`. Raises Rejected("release-withdrawn"), Rejected("channel-closed")."""
    target = release.find(ws, ws.roles.targets(RELEASES), version)
    opening = grants.standing(target, version).channels.get(channel)
    if opening is None:
        what = f"{version} is not opened to {channel}: no device would take it"
        raise Rejected(
            "channel-closed",
            what,
            f"Open it with the offline key: otarepo open {ws.path} {channel} --version {version}",
            who=Who.INTEGRATOR,
        )
    return opening


def caveat(ws: Workspace, channel: str, campaign: Campaign) -> str | None:
    """Why a campaign that runs does not do all that it says, if there is such a reason."""
    grant = release.grant_of(release.find(ws, ws.roles.targets(RELEASES), campaign.version))
    if campaign.state is not CampaignState.RUNNING:
        return None
    if grant.withdrawn:
        return f"{campaign.version} is withdrawn: no device takes it any more"
    if outruns(campaign, grant.channels[channel]):
        return f"{campaign.id} is faster than {campaign.version} was granted in {channel}; devices go by the slower of the two"
    return None


def outruns(campaign: Campaign, opening: Opening) -> bool:
    """Whether the campaign is anywhere faster than granted, so that the grant will be what devices go by."""
    lead = (campaign.started - opening.opened).total_seconds()
    curves = (campaign.curve, *(curve for _, curve in campaign.strata))
    bends = {second - lead for second, _ in opening.curve.root} | {second for curve in curves for second, _ in curve.root}
    return any(curve.at(second) > opening.curve.at(second + lead) for curve in curves for second in bends)


def raised(curve: Curve, elapsed: int, ppm: int) -> Curve:
    """`curve` until `elapsed` seconds; from a second later on the larger of it and `ppm`. A device that was in stays in."""
    before = [point for point in curve.root if point[0] < elapsed]
    here = [(elapsed, curve.at(elapsed)), (elapsed + 1, max(ppm, curve.at(elapsed + 1)))]
    crossing = curve.when(ppm)
    turn = [(math.floor(crossing), ppm)] if crossing is not None and math.floor(crossing) > elapsed + 1 else []
    after = [(second, share) for second, share in curve.root if second > elapsed + 1 and share > ppm]
    return Curve((*before, *here, *(point for point in turn if point[0] not in dict(after)), *after))


def _change(
    ws: Workspace, channel: str, wanted: str | None, change: Callable[[Campaign], Campaign], task: str, now: datetime
) -> Campaign:
    with ws.writing(task):
        campaigns = read(ws, channel).campaigns
        old = _pick(campaigns, channel, wanted)
        new = change(old)
        if new != old:
            _save(ws, channel, tuple(new if one.id == old.id else one for one in campaigns), now)
        return new


def _pick(campaigns: tuple[Campaign, ...], channel: str, wanted: str | None) -> Campaign:
    live = [one for one in campaigns if one.state is not CampaignState.STOPPED]
    found = [one for one in live if wanted in (None, one.id)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.id for one in live) or "none"
    if wanted is None and live:
        what, remedy = f"{channel} has several campaigns: {names}", "Say which one: --campaign ID"
    else:
        what = f"{channel} has no campaign {wanted or ''}".rstrip() + f" that is not stopped (there is: {names})"
        remedy = "Start one: otarepo rollout start"
    raise Rejected("campaign-unknown", what, remedy, who=Who.INTEGRATOR)


def _next_id(campaigns: tuple[Campaign, ...], version: str) -> str:
    number = sum(old.version == version for old in campaigns) + 1
    return f"{version.lower().replace('+', '-')}-{number}"


def _save(ws: Workspace, channel: str, campaigns: tuple[Campaign, ...], now: datetime) -> None:
    rollouts = ws.roles.targets(ROLLOUTS)
    target = ws.store(f"{ROLLOUTS}/{channel}.json", Rollouts(channel=channel, campaigns=campaigns))
    rollouts.targets[target.path] = target
    ws.roles.save(ROLLOUTS, rollouts, now=now)
