"""Tables for people (rich): calm, no boxes, nothing cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otad.cli import paint

WIDE = 200
"""Columns without a terminal: nobody looks at the alignment, and nothing is folded."""


def show(headings: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> None:
    """Print a table; a cell is a text, or (text, style)."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else Text(*cell) for cell in row))
    Console(file=sys.stdout, width=paint.width() or WIDE, no_color=not paint.colourful(), highlight=False).print(table)
