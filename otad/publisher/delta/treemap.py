"""A treemap: values as rectangles whose areas are as the values, as square as can be. Pure.

Squarified treemaps after Bruls, Huizing and van Wijk (2000): rows along the shorter side, each filled as long as its most oblong
rectangle gets no worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rectangle:
    """In the units of the picture."""

    x: float
    y: float
    width: float
    height: float


def laid_out(values: Sequence[float], within: Rectangle) -> Iterator[Rectangle]:
    """A rectangle for each of `values`, which are positive and fall."""
    scale = within.width * within.height / sum(values) if values else 0
    areas = [value * scale for value in values]
    while areas:
        wide = within.width >= within.height
        side = within.height if wide else within.width
        row = _row(areas, side)
        thick = sum(row) / side
        at = 0.0
        for long in (area / thick for area in row):
            x, y = (within.x, within.y + at) if wide else (within.x + at, within.y)
            yield Rectangle(x, y, thick, long) if wide else Rectangle(x, y, long, thick)
            at += long
        within = (
            replace(within, x=within.x + thick, width=within.width - thick)
            if wide
            else replace(within, y=within.y + thick, height=within.height - thick)
        )
        areas = areas[len(row) :]


def _row(areas: Sequence[float], side: float) -> Sequence[float]:
    """Of the next areas, those that make the best row along a `side`."""
    count = 1
    while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
        count += 1
    return areas[:count]


def _worst(row: Sequence[float], side: float) -> float:
    """Long side over short side of the most oblong."""
    thick = sum(row) / side
    return max(max(area / thick**2, thick**2 / area) for area in row)
