"""otarepo rollout: who may have a release now. Online key."""

from __future__ import annotations

from typing import Annotated

import typer

from otad.formats.campaign import Action, Campaign
from otad.publisher import notation
from otad.publisher import rollout as rollouts
from otad.publisher.cli.terminal import Channel, Dir, Version, now, opened, said, warned
from otad.publisher.workspace import Workspace

app = typer.Typer(help="Start, speed up, pause and stop campaigns. Effective when published.", no_args_is_help=True)
Wanted = Annotated[str | None, typer.Option("--campaign", metavar="ID", help="Which one, where there are several.")]
Curve = Annotated[str | None, typer.Option(help="time:share,... from now; else the pace that was granted.")]
Stratum = Annotated[list[str], typer.Option(help="A pace of its own: 'region=eu;0:1%,1d:50%'. Repeatable.")]
Only = Annotated[list[str], typer.Option(metavar="NAME=VALUE,...", help="Only these devices take part.")]
Device = Annotated[list[str], typer.Option(help="Only these: first 16 hex digits of the admission digest.")]
Phase = Annotated[str, typer.Option(help="A label for people.")]


@app.command()
def start(
    folder: Dir,
    channel: Channel,
    *,
    version: Version,
    curve: Curve = None,
    stratum: Stratum = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    device: Device = [],  # noqa: B006
    phase: Phase = "",
) -> None:
    """Begin a campaign of a release that was opened to CHANNEL."""
    workspace = opened(folder)
    new = _new(Action.UPDATE, version, curve, stratum, only, device, phase)
    _told(workspace, channel, rollouts.start(workspace, channel, new, now=now()))


@app.command()
def back(
    folder: Dir,
    channel: Channel,
    *,
    version: Version,
    curve: Curve = None,
    stratum: Stratum = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    device: Device = [],  # noqa: B006
    phase: Phase = "",
) -> None:
    """Begin a campaign back to an older release, for devices whose own release allows it (`release --back-to`, `allow`)."""
    workspace = opened(folder)
    new = _new(Action.BACK, version, curve, stratum, only, device, phase)
    _told(workspace, channel, rollouts.start(workspace, channel, new, now=now()))


@app.command()
def advance(
    folder: Dir,
    channel: Channel,
    to: Annotated[str, typer.Option("--to", help="Share of the fleet, from now on: 10% or 100000 (ppm).")],
    phase: Phase = "",
    campaign: Wanted = None,
) -> None:
    """Raise a campaign's pace."""
    workspace = opened(folder)
    _told(workspace, channel, rollouts.advance(workspace, channel, notation.share(to), phase, campaign, now=now()))


@app.command()
def pause(folder: Dir, channel: Channel, campaign: Wanted = None) -> None:
    """Let no further device in; what devices fetched they keep."""
    workspace = opened(folder)
    _told(workspace, channel, rollouts.pause(workspace, channel, campaign, now=now()))


@app.command()
def resume(folder: Dir, channel: Channel, campaign: Wanted = None) -> None:
    """Go on where the pause began."""
    workspace = opened(folder)
    _told(workspace, channel, rollouts.resume(workspace, channel, campaign, now=now()))


@app.command()
def stop(folder: Dir, channel: Channel, campaign: Wanted = None) -> None:
    """End a campaign for good."""
    workspace = opened(folder)
    _told(workspace, channel, rollouts.stop(workspace, channel, campaign, now=now()))


def _new(
    action: Action, version: str, curve: str | None, strata: list[str], only: list[str], devices: list[str], phase: str
) -> rollouts.NewCampaign:
    return rollouts.NewCampaign(
        version,
        notation.curve(curve) if curve else None,
        action,
        phase,
        tuple(notation.stratum(text) for text in strata),
        notation.match(only),
        tuple(devices),
    )


def _told(workspace: Workspace, channel: str, one: Campaign) -> None:
    pace = notation.write_curve(one.curve)
    way = f" (back to {one.version})" if one.action is Action.BACK else ""
    said(f"{channel}: campaign {one.id}{way} is {one.state.value}; {pace}. Publish to make it so.")
    if caveat := rollouts.caveat(workspace, channel, one):
        warned(caveat)
