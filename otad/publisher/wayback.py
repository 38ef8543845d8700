"""The way back to an older release: who may take it, and which campaigns would lead devices to and fro.

Rules:
 1. Where a device may go back to stands in the grant of the release that it runs. When no grant names it, nobody would go.
 2. Of two campaigns in a channel, one there and one back, the second is refused: the same devices would go to and fro for ever.
    Campaigns whose selections have no device in common may stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterable

from otad.errors import Rejected, Who
from otad.formats.campaign import Action, Campaign, CampaignState
from otad.formats.curve import Match
from otad.publisher.release import find, grant_of, versions
from otad.publisher.roles import RELEASES
from otad.publisher.workspace import Workspace


def leave_for(ws: Workspace, version: str) -> tuple[str, ...]:
    """The releases whose grant allows to go back to `version`."""
    releases = ws.roles.targets(RELEASES)
    return tuple(one for one in versions(ws, releases) if version in grant_of(find(ws, releases, one)).back_to)


def check(ws: Workspace, channel: str, campaigns: Iterable[Campaign], new: Campaign) -> None:
    """Raises Rejected("back-not-granted") for a way back that nobody may take, Rejected("to-and-fro") for one there and back."""
    if new.action is Action.BACK and not leave_for(ws, new.version):
        what = f"no release allows to go back to {new.version}: no device would"
        remedy = f"Allow it with the offline key: otarepo allow {ws.path} --version RUNNING --back-to {new.version}"
        raise Rejected("back-not-granted", what, remedy, who=Who.INTEGRATOR)
    for old in campaigns:
        if old.state is not CampaignState.STOPPED and _opposed(ws, old, new) and not apart(old.only, new.only):
            there, back = (old, new) if new.action is Action.BACK else (new, old)
            what = f"devices would go to and fro: {there.version} by one campaign, back to {back.version} by the other"
            remedy = f"Stop {old.id} first: otarepo rollout stop {ws.path} {channel} --campaign {old.id}"
            raise Rejected("to-and-fro", what, remedy, who=Who.INTEGRATOR)


def apart(one: Match, other: Match) -> bool:
    """Whether no device can satisfy both."""
    return any(not set(values) & set(other.root[name]) for name, values in one.root.items() if name in other.root)


def _opposed(ws: Workspace, one: Campaign, other: Campaign) -> bool:
    there, back = (one, other) if other.action is Action.BACK else (other, one)
    if (there.action, back.action) != (Action.UPDATE, Action.BACK):
        return False
    grant = grant_of(find(ws, ws.roles.targets(RELEASES), there.version))
    return back.version in grant.back_to and not grant.withdrawn
