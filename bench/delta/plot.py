"""docs/pictures/delta-bench.svg: bytes sent, a bar for each contender on each pair. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from bench.delta.figures import OURS, Measured
from bench.delta.runs import Result

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 230, 90, 18, 34
COLOURS = {True: "#e45756", False: "#4c78a8"}


def svg(measured: Measured) -> str:
    """All pairs, one below the other, each on its own scale: a major update is not drawn so that a minor one vanishes."""
    lines: list[str] = []
    y = 0
    for pair, results in measured.items():
        sent = sorted((result for result in results.values() if result.size), key=lambda one: one.size or 0)
        lines += [f'<text x="4" y="{y + 22}" font-size="15" font-weight="bold">{escape(pair)}</text>', *_bars(sent, y + GAP)]
        y += GAP + BAR * len(sent)
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" font-family="sans-serif" font-size="12">'
    return "\n".join([start, f'<rect width="{WIDTH}" height="{y + 8}" fill="#fff"/>', *lines, "</svg>\n"])


def _bars(results: Sequence[Result], y: int) -> Iterator[str]:
    most = max((result.size or 0 for result in results), default=1)
    for number, result in enumerate(results):
        top, size = y + BAR * number, result.size or 0
        width = (WIDTH - LEFT - RIGHT) * size / most
        yield f'<text x="{LEFT - 6}" y="{top + 13}" text-anchor="end">{escape(result.title)}</text>'
        yield f'<rect x="{LEFT}" y="{top + 2}" width="{width:.1f}" height="{BAR - 4}" fill="{COLOURS[result.name == OURS]}"/>'
        yield f'<text x="{LEFT + width + 5:.1f}" y="{top + 13}">{size / 1e6:.1f} MB</text>'
