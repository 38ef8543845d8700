"""May an admitted release go on at this hour? Pure: the maintenance window, the local pause and the inhibitors.

Rules:
 1. A critical release overrides the window. It overrides neither a person's pause nor an inhibitor.
 2. The window is in the device's local time, by the clock on the wall; one that begins later than it ends goes over midnight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otad.config import Window


class Obstacle(str, Enum):
    """What holds a release back on the device itself, in the order in which they are looked at."""

    PAUSED = "paused"
    INHIBITED = "inhibited"
    WINDOW = "window"


@dataclass(frozen=True)
class Closed:
    """Why it may not go on, a sentence for people, and when it may (local time) if that is known."""

    obstacle: Obstacle
    detail: str
    opens: datetime | None = None


def may_proceed(window: Window, now: datetime, *, critical: bool, paused: bool, inhibitors: Sequence[str]) -> Closed | None:
    """None when a release may be installed and booted at `now` (local time); `inhibitors` are the names of those that hold."""
    if paused:
        return Closed(Obstacle.PAUSED, "updates are paused on this device; `otactl resume` ends it")
    if inhibitors:
        return Closed(Obstacle.INHIBITED, f"held back by {', '.join(inhibitors)}")
    if critical or is_open(window, now.time()):
        return None
    opens = opens_at(window, now)
    return Closed(Obstacle.WINDOW, f"outside the window {window.start}-{window.end}; it opens at {opens:%a %H:%M}", opens)


def is_open(window: Window, at: time) -> bool:
    """True within [start, end); always when they are the same."""
    start, end = time.fromisoformat(window.start), time.fromisoformat(window.end)
    if start <= end:
        return start <= at < end or start == end
    return at >= start or at < end


def opens_at(window: Window, now: datetime) -> datetime:
    """The next opening after `now`, of the same time zone as `now`."""
    start = time.fromisoformat(window.start)
    today = now.replace(hour=start.hour, minute=start.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
