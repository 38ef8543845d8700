"""When the next check is due. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def following(now: datetime, interval: float, jitter: float, draw: float, retry_at: datetime | None = None) -> datetime:
    """When to check after a check that ended `now`: interval seconds +- jitter (a share of it), sooner if `retry_at` is.

    `draw` is a random number in [0, 1): it spreads a fleet that was switched on together.
    """
    regular = now + timedelta(seconds=interval * (1 + jitter * (2 * draw - 1)))
    return min(regular, max(retry_at, now)) if retry_at else regular


def due(now: datetime, last: datetime | None, next_: datetime | None) -> bool:
    """True when a check is due: never made, its time has come, or the clock was set back behind the last one."""
    return last is None or next_ is None or now >= next_ or now < last
