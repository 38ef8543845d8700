"""otarepo delta: devices that run one release get the next one in a fraction of its bytes. Offline keys."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otad.publisher import drafts
from otad.publisher.cli.explain import Explanation
from otad.publisher.cli.terminal import awaited, bars, now, opened, warned
from otad.publisher.delta import release
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload, make
from otad.publisher.delta.proof import proved

FILES = 3  # OLD NEW OUT


def delta(
    given: Annotated[list[str], typer.Argument(metavar="DIR OLD... NEW", help="The workspace, and versions of its releases.")],
    files: Annotated[bool, typer.Option("--files", help="Of files, without a workspace: OLD NEW OUT.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where the bytes go: by operation, by file and folder.")
    ] = False,
    machine: Annotated[bool, typer.Option("--json", help="The same as JSON, and nothing else.")] = False,
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
    if files:
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
            outcome = release.add(workspace, base, version, now=now(), repack=repack, progress=progress)
        if outcome is None:
            explanation.said(f"{base} to {version}: is there already.")
            continue
        _noted(outcome.ledger)
        sizes = f"{outcome.length:,} bytes, {outcome.length / outcome.full:.1%} of the full {outcome.full:,}"
        if outcome.listed:
            explanation.said(f"{base} to {version}: {sizes}. Publish to make it so.")
        else:
            refused = f"not published: it would be {sizes}, and must save a tenth. Devices take the full one."
            explanation.said(f"{base} to {version}: {refused}")
        explanation.show(f"{base} to {version}", outcome.ledger, outcome.length)
    awaited(workspace)


def _of_files(old: Path, new: Path, out: Path, explanation: Explanation, *, repack: bool) -> None:
    with bars() as progress, tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".delta-") as scratch:
        before, after = (Payload.of(file, progress) for file in (old, new))
        with drafts.draft(out.absolute().parent) as made:
            ledger = make(before, after, made.file, Path(scratch), repack=repack, progress=progress)
            made.file.flush()
            proved(before, after, made.path, Path(scratch), progress)
            length = made.file.tell()
            made.keep(out.absolute())
    _noted(ledger)
    explanation.said(f"{out}: {length:,} bytes make {new}, of {after.whole.length:,}, from {old}")
    explanation.show(f"{old.name} to {new.name}", ledger, length)


def _noted(ledger: Ledger) -> None:
    for note in ledger.notes:
        warned(note)
