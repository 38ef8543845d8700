"""otarepo verify: is what is published whole, and served as it should be?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from otad.publisher import place as places
from otad.publisher.cli.terminal import Dir, bars, err, now, opened, out, said
from otad.publisher.encode import Progress
from otad.publisher.inspection import Report
from otad.publisher.roles import ROOT
from otad.publisher.verify import verify as examine

EXAMPLES = 3  # files that are named for one and the same finding


def verify(
    folder: Dir,
    place: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="https://... as devices read it, or a published folder; else what DIR last sealed."),
    ] = None,
    ca: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Who certifies the server (PEM).")] = None,
) -> None:
    """Look at all that is public: documents, hashes, signatures, expiry; of a server its cache headers and ranges too."""
    workspace = opened(folder)
    anchor = workspace.roles.path(ROOT, 1).read_bytes()
    with bars() as progress:
        report = asyncio.run(_examined(place or str(workspace.path), ca, anchor, progress))
    out.print(_table(report))
    if report.findings:
        _complain(report)
        raise typer.Exit(1)
    said(f"{report.place} is as it should be")


async def _examined(place: str, ca: Path | None, anchor: bytes, progress: Progress) -> Report:
    if "://" not in place:
        return await examine(places.Folder(Path(place)), anchor, now=now(), progress=progress)
    async with places.web(place, ca) as server:
        return await examine(server, anchor, now=now(), progress=progress)


def _table(report: Report) -> Table:
    table = Table("what", "version", "signatures", "expires (UTC)", "files", "bytes", box=None, pad_edge=False)
    for part in report.parts:
        expires = f"{part.expires:%Y-%m-%d %H:%M}" if part.expires else ""
        size = f"{part.bytes:,}" if part.version is None else ""
        table.add_row(part.name, str(part.version or ""), part.signatures, expires, "" if part.version else str(part.files), size)
    return table


def _complain(report: Report) -> None:
    """Every finding once, with the first few files that it is true of."""
    where: dict[str, list[str]] = defaultdict(list)
    for finding in report.findings:
        where[finding.what].append(finding.path)
    for what, paths in where.items():
        more = f" and {len(paths) - EXAMPLES} more" if len(paths) > EXAMPLES else ""
        err.print(f"[red]wrong:[/] {escape(', '.join(paths[:EXAMPLES]))}{more}: {escape(what)}", markup=True)
    count = len(report.findings)
    said(f"{report.place}: {count} finding{'s' * (count > 1)}")
