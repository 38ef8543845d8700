"""What --explain, --json and --plot say of a delta: where its bytes go."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from otad.publisher import drafts
from otad.publisher.cli.terminal import out, said
from otad.publisher.delta.explain import Explained, Share, explained
from otad.publisher.delta.picture import svg
from otad.publisher.delta.release import Outcome

FINE = 400
"""A place is in the picture when it costs at least this part of the patch."""


@dataclass(frozen=True)
class Explanation:
    """What was asked for."""

    tables: bool = False
    machine: bool = False
    plot: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything was asked for."""
        return self.tables or self.machine or self.plot is not None

    def said(self, text: str) -> None:
        """A result, for people."""
        if not self.machine:
            said(text)

    def show(self, made: Outcome) -> None:
        """Say it of one delta. For machines: one JSON document, on a line of its own."""
        title = f"{made.base} to {made.version}"
        found = explained(made.ledger, made.length)
        if self.machine:
            pair = {"delta": title, "base": made.base, "version": made.version, "full": made.full, "listed": made.listed}
            out.print_json(json.dumps({**pair, **asdict(found)}), indent=None)
        elif self.tables:
            _show(found)
        if self.plot:
            with drafts.draft(self.plot.absolute().parent) as new:
                new.file.write(svg(explained(made.ledger, made.length, FINE), title).encode())
                new.keep(self.plot.absolute())
            self.said(f"{self.plot}: the picture")


def _show(found: Explained) -> None:
    for title, shares in (("by operation", found.operations), ("by place", found.places)):
        table = Table(title=f"Where {found.length:,} bytes go, {title}", title_justify="left")
        for column in ("bytes", "share", "of the image"):
            table.add_column(column, justify="right")
        table.add_column(title.removeprefix("by "))
        if shares is found.places:
            table.add_column("mostly")
        for share in shares:
            table.add_row(*_row(share, found.length), *([share.mostly] if shares is found.places else []))
        out.print(table)


def _row(share: Share, length: int) -> tuple[str, ...]:
    return f"{share.costs:,}", f"{share.costs / length:.1%}", f"{share.makes:,}", escape(share.name)
