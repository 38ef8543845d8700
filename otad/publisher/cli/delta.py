"""otarepo delta: devices that run one release get the next one in a fraction of its bytes. Offline keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otad.publisher.cli.explain import Explanation
from otad.publisher.cli.terminal import awaited, bars, now, opened, warned
from otad.publisher.delta import files, release

FILES = 3  # OLD NEW OUT


def delta(
    given: Annotated[list[str], typer.Argument(metavar="DIR OLD... NEW", help="The workspace, and versions of its releases.")],
    alone: Annotated[bool, typer.Option("--files", help="Of files, without a workspace: OLD NEW OUT.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where the bytes go: by operation, by file and folder.")
    ] = False,
    machine: Annotated[bool, typer.Option("--json", help="The same as JSON, a line for each OLD, and nothing else.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="OUT.svg", help="The same as a picture; of one OLD.")] = None,
    repack: Annotated[
        bool,
        typer.Option("--repack/--no-repack", help="Compare compressed files by what they hold; devices compress them again."),
    ] = True,
) -> None:
    """Add a way from each release OLD to the release NEW that carries only the difference. May follow after `publish`."""
    if plot and plot.suffix.lower() != ".svg":
        raise typer.BadParameter(f"--plot draws SVG, and {plot} is named as something else: give it a name that ends in .svg")
    explanation = Explanation(explain, machine, plot)
    if alone:
        if len(given) != FILES:
            raise typer.BadParameter("--files takes OLD NEW OUT")
        _of_files(Path(given[0]), Path(given[1]), Path(given[2]), explanation, repack=repack)
    elif len(given) < FILES:
        raise typer.BadParameter("give DIR, at least one release OLD, and the release NEW")
    elif plot and len(given) > FILES:
        raise typer.BadParameter("--plot shows one delta: give one release OLD")
    else:
        _of_releases(Path(given[0]), given[1:-1], given[-1], explanation, repack=repack)


def _of_releases(folder: Path, bases: list[str], version: str, explanation: Explanation, *, repack: bool) -> None:
    workspace = opened(folder)
    for base in bases:
        with bars() as progress:
            outcome = release.add(workspace, base, version, now=now(), repack=repack, again=explanation.wanted, progress=progress)
        explanation.said(f"{base} to {version}: {_told(outcome)}")
        if outcome:
            _noted(outcome)
            explanation.show(outcome)
    awaited(workspace)


def _told(made: release.Outcome | None) -> str:
    if made is None or made.before is not None:
        return "is there already."
    sizes = f"{made.length:,} bytes, {made.length / made.full:.1%} of the full {made.full:,}"
    if made.listed:
        return f"{sizes}. Publish to make it so."
    return f"not published: it would be {sizes}, and must save a tenth. Devices take the full one."


def _of_files(old: Path, new: Path, out: Path, explanation: Explanation, *, repack: bool) -> None:
    with bars() as progress:
        outcome = files.write(old, new, out, repack=repack, progress=progress)
    _noted(outcome)
    explanation.said(f"{out}: {outcome.length:,} bytes make {new}, of {outcome.full:,}, from {old}")
    explanation.show(outcome)


def _noted(made: release.Outcome) -> None:
    for note in made.ledger.notes:
        warned(note)
    if made.before not in {None, made.length}:
        what = f"the delta that is listed has {made.before:,} bytes, and was made in another way than this one of {made.length:,}"
        warned(f"{what}: with or without --no-repack, or by another version of otarepo")
