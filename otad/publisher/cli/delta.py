"""otarepo delta: devices that run one release get the next one in a fraction of its bytes. Offline keys."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otad.publisher import drafts
from otad.publisher.cli.terminal import awaited, bars, now, opened, said, warned
from otad.publisher.delta import release
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload, make
from otad.publisher.delta.proof import proved

FILES = 3  # OLD NEW OUT


def delta(
    given: Annotated[list[str], typer.Argument(metavar="DIR OLD... NEW", help="The workspace, and versions of its releases.")],
    files: Annotated[
        bool, typer.Option("--files", help="Of files, without a workspace: OLD NEW OUT, bundles or raw images.")
    ] = False,
) -> None:
    """Add a way from each release OLD to the release NEW that carries only the difference. May follow after `publish`."""
    if files:
        if len(given) != FILES:
            raise typer.BadParameter("--files takes OLD NEW OUT")
        _of_files(*map(Path, given))
    elif len(given) < FILES:
        raise typer.BadParameter("give DIR, at least one release OLD, and the release NEW")
    else:
        _of_releases(Path(given[0]), given[1:-1], given[-1])


def _of_releases(folder: Path, bases: list[str], version: str) -> None:
    workspace = opened(folder)
    for base in bases:
        with bars() as progress:
            outcome = release.add(workspace, base, version, now=now(), progress=progress)
        if outcome is None:
            said(f"{base} to {version}: is there already.")
            continue
        _noted(outcome.ledger)
        sizes = f"{outcome.length:,} bytes, {outcome.length / outcome.full:.1%} of the full {outcome.full:,}"
        if outcome.listed:
            said(f"{base} to {version}: {sizes}. Publish to make it so.")
        else:
            said(f"{base} to {version}: not published: it would be {sizes}, and must save a tenth. Devices take the full one.")
    awaited(workspace)


def _of_files(old: Path, new: Path, out: Path) -> None:
    with bars() as progress, tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".delta-") as scratch:
        before, after = (Payload.of(file, progress) for file in (old, new))
        with drafts.draft(out.absolute().parent) as made:
            ledger = make(before, after, made.file, Path(scratch), progress=progress)
            made.file.flush()
            proved(before, after, made.path, Path(scratch), progress)
            length = made.file.tell()
            made.keep(out.absolute())
    _noted(ledger)
    said(f"{out}: {length:,} bytes make {new}, of {after.whole.length:,}, from {old}")


def _noted(ledger: Ledger) -> None:
    for note in ledger.notes:
        warned(note)
