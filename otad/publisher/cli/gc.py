"""otarepo gc: what no device can be led to any more is deleted."""

from __future__ import annotations

from typing import Annotated

import typer

from otad.publisher.cli.terminal import Dir, Out, bars, now, opened, said
from otad.publisher.collect import collect


def gc(
    folder: Dir,
    out: Out,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
) -> None:
    """Delete, in DIR and OUT, what no timestamp has led to for 90 days. Never roots, nor what waits to be published or signed."""
    with bars() as progress:
        freed = collect(opened(folder), out, now=now(), dry_run=dry_run, progress=progress)
    for file in freed.files if dry_run else ():
        said(str(file))
    said(f"{len(freed.files)} files {'would be' if dry_run else 'are'} deleted, which frees {freed.bytes:,} bytes")
