"""otarepo rollout: who may have a release now. Online key."""

from __future__ import annotations

from typing import Annotated

import typer

from otad.formats.campaign import Action, Campaign, CampaignState
from otad.publisher import notation
from otad.publisher import rollout as rollouts
from otad.publisher.cli.terminal import Channel, Dir, Version, now, opened, said, warned
from otad.publisher.workspace import Workspace

app = typer.Typer(help="Start, speed up, pause and stop campaigns. Effective when published.", no_args_is_help=True)
Wanted = Annotated[str | None, typer.Option("--campaign", metavar="ID", help="Which one, where there are several.")]
Phase = Annotated[str, typer.Option(help="A label for people.")]


@app.command()
def start(  # noqa: PLR0913  one parameter an option
    folder: Dir,
    channel: Channel,
    *,
    version: Version,
    curve: Annotated[str | None, typer.Option(help="time:share,... from now; else the pace that was granted.")] = None,
    stratum: Annotated[list[str], typer.Option(help="A pace of its own: 'region=eu;0:1%,1d:50%'. Repeatable.")] = [],  # noqa: B006
    only: Annotated[list[str], typer.Option(metavar="NAME=VALUE,...", help="Only these devices take part.")] = [],  # noqa: B006
    device: Annotated[list[str], typer.Option(help="Only these: first 16 hex digits of the admission digest.")] = [],  # noqa: B006
    phase: Phase = "",
    back: Annotated[
        bool, typer.Option("--back", help="To an older version, which the running release's grant must name.")
    ] = False,
) -> None:
    """Begin a campaign of a release that was opened to CHANNEL."""
    workspace = opened(folder)
    new = rollouts.NewCampaign(
        version,
        notation.curve(curve) if curve else None,
        Action.BACK if back else Action.UPDATE,
        phase,
        tuple(notation.stratum(text) for text in stratum),
        notation.match(only),
        tuple(device),
    )
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


def _told(workspace: Workspace, channel: str, one: Campaign) -> None:
    pace = notation.write_curve(one.curve)
    said(f"{channel}: campaign {one.id} is {one.state.value}; {pace}. Publish to make it so.")
    if one.state is CampaignState.RUNNING and rollouts.outruns(one, rollouts.granted(workspace, channel, one.version)):
        warned(f"{one.id} is faster than {one.version} was granted in {channel}; devices go by the slower of the two")
