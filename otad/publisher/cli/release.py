"""otarepo release, open, allow and withdraw: what exists, and what may be done with it. Offline keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otad.publisher import grants, notation
from otad.publisher import release as releases
from otad.publisher.cli.terminal import Channel, Dir, Version, awaited, bars, now, opened, said
from otad.publisher.encode import Coding

BackTo = Annotated[list[str], typer.Option(help="Older version that the fleet may be sent back to from it. Repeatable.")]
PACE = "0:1%,1d:10%,2d:50%,3d:100%"


def release(  # noqa: PLR0913  one parameter an option
    folder: Dir,
    *,
    version: Version,
    hardware: Annotated[list[str], typer.Option(help='Board and revision that take it: "jetson-nano 1.0". Repeatable.')],
    system: Annotated[Path, typer.Option(exists=True, dir_okay=False, metavar="FILE.swu", help="From `otarepo image`.")],
    min_version: Annotated[str | None, typer.Option(help="Oldest version that can step to it.")] = None,
    critical: Annotated[bool, typer.Option("--critical", help="Does not wait for the maintenance window.")] = False,
    notes: Annotated[str, typer.Option(help="For people.")] = "",
    back_to: BackTo = [],  # noqa: B006
    level: Annotated[int, typer.Option(min=1, max=22, help="zstd's level.")] = 19,
    plain: Annotated[bool, typer.Option("--plain", help="Publish the uncompressed bytes too.")] = False,
) -> None:
    """Encode and sign a release. No device takes it before `open` and `rollout start`."""
    new = releases.NewRelease(version, hardware, system, min_version, critical, notes, back_to)
    workspace = opened(folder)
    with bars() as progress:
        added = releases.add(workspace, new, Coding(level, plain), now=now(), progress=progress)
    said(f"{version} is staged. Next: otarepo open {folder} CHANNEL --version {version}" if added else f"{version} is as it was.")
    awaited(workspace)


def open_(
    folder: Dir,
    channel: Channel,
    version: Version,
    curve: Annotated[str, typer.Option(help="The fastest pace that any roll-out may take: time:share,...")] = PACE,
    free: Annotated[list[str], typer.Option(metavar="NAME=VALUE,...", help="Devices that this pace does not hold.")] = [],  # noqa: B006
) -> None:
    """Allow roll-outs of a release in CHANNEL, no faster than a curve."""
    pace = notation.curve(curve)
    match = notation.match(free) if free else None
    workspace = opened(folder)
    changed = grants.open_channel(workspace, channel, version, pace, match, now=now())
    said(f"{version} is {'now' if changed else 'already'} open to {channel}: at most {notation.write_curve(pace)}")
    awaited(workspace)


def allow(folder: Dir, version: Version, back_to: BackTo) -> None:
    """Allow that the fleet is sent back from a release that is out already. `rollout back` then does it."""
    workspace = opened(folder)
    changed = grants.allow_back(workspace, version, back_to, now=now())
    said(f"{version} {'now' if changed else 'already'} allows to go back to {', '.join(back_to)}. Publish to make it so.")
    awaited(workspace)


def withdraw(folder: Dir, version: Annotated[str, typer.Argument(metavar="VERSION", help="Of the release.")]) -> None:
    """Let no device take a release any more, whatever campaigns there are. For good; devices that run it keep running."""
    workspace = opened(folder)
    changed = grants.withdraw(workspace, version, now=now())
    said(f"{version} is {'now' if changed else 'already'} withdrawn. Publish to make it so.")
    said(
        f"Devices that run it keep it until there is something newer, or `otarepo rollout back {folder} CHANNEL --version OLDER`."
    )
