"""otarepo export: chosen releases on a medium."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otad.publisher import export as exporting
from otad.publisher.cli.terminal import Dir, bars, opened, said


def export(
    folder: Dir,
    to: Annotated[Path, typer.Argument(metavar="MEDIUM", file_okay=False, help="A folder on the medium.")],
    version: Annotated[list[str], typer.Option("--version", help="Version of a release. Repeatable.")],
) -> None:
    """Write published releases to a USB stick or a card, and read them back. Interrupted, run it again."""
    with bars() as progress:
        done = exporting.export(opened(folder), to, version, progress=progress)
    what = f"{', '.join(version)}: {done.files} files, {done.bytes:,} bytes, read back and right"
    said(f"{to}: {what}; {done.written} of them are new")
