"""Curve and Match: how fast, and whom. The two small words in which grants and campaigns are written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field, RootModel, field_validator

MILLION = 10**6
LONGEST = 10**9  # seconds, 31 years: no curve needs more, and times made from one stay within the calendar


Seconds = Annotated[int, Field(ge=0, le=LONGEST)]
Ppm = Annotated[int, Field(ge=0, le=MILLION)]


class Curve(RootModel[tuple[tuple[Seconds, Ppm], ...]]):
    """Points of (seconds, parts per million of the fleet): linear between them, 0 before the first, flat after the last.

    From point to point seconds rise and ppm never falls.
    """

    root: tuple[tuple[Seconds, Ppm], ...] = Field(min_length=1)

    @field_validator("root")
    @classmethod
    def _rises(cls, points: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if any(b[0] <= a[0] for a, b in pairwise(points)):
            raise ValueError("seconds must rise from point to point")
        if any(b[1] < a[1] for a, b in pairwise(points)):
            raise ValueError("ppm must never fall: a device that was admitted stays admitted")
        return points

    def at(self, seconds: float) -> int:
        """Parts per million after `seconds`."""
        points = self.root
        if seconds < points[0][0]:
            return 0
        for (t0, p0), (t1, p1) in pairwise(points):
            if seconds < t1:
                return p0 + int((p1 - p0) * (seconds - t0) / (t1 - t0))
        return points[-1][1]

    def when(self, ppm: int) -> float | None:
        """First second at which the curve reaches `ppm`; None when it never does."""
        points = self.root
        if ppm <= points[0][1]:
            return float(points[0][0])
        for (t0, p0), (t1, p1) in pairwise(points):
            if ppm <= p1:
                return t0 + (t1 - t0) * (ppm - p0) / (p1 - p0)
        return None


class Match(RootModel[dict[str, tuple[str, ...]]]):
    """Devices whose every named attribute has one of the listed values. An empty Match: every device."""

    root: dict[str, tuple[str, ...]] = {}

    def holds(self, attributes: Mapping[str, str]) -> bool:
        """True when `attributes` (name -> value) satisfy every entry."""
        return all(attributes.get(name) in values for name, values in self.root.items())
