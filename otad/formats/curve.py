"""Curve and Match: how fast, and whom. The two small words in which grants and campaigns are written."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from pydantic import Field, RootModel, field_validator

MILLION = 10**6
LONGEST = 10**9  # seconds, 31 years: no curve needs more, and times made from one stay within the calendar


class Curve(RootModel[tuple[tuple[int, int], ...]]):
    """Parts per million of the fleet over seconds: linear between the points, 0 before the first, flat after the last."""

    root: tuple[tuple[int, int], ...] = Field(min_length=1)

    @field_validator("root")
    @classmethod
    def _rises(cls, points: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if any(not 0 <= ppm <= MILLION for _, ppm in points):
            raise ValueError("ppm must be between 0 and 1000000")
        if any(not 0 <= seconds <= LONGEST for seconds, _ in points):
            raise ValueError(f"seconds must be between 0 and {LONGEST}")
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
