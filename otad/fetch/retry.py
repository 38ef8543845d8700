"""How long to wait before the next try. Pure: the dice are an argument.

Rules:
 1. Exponential back-off with full jitter: a fleet that lost its server together must not come back together.
 2. What the server asks for (Retry-After) is a minimum. More than `backoff_max`, and the step ends: whoever called knows when
    to come again, and need not stay awake until then.
 3. Tries are counted since the last progress: a link that breaks often but moves on is a link that works.
"""

from __future__ import annotations

from otad.config import Download


def delay(failures: int, settings: Download, asked: float | None, dice: float) -> float | None:
    """Seconds until the next try, or None to give up.

    Args:
        failures: tries that failed since the last progress, >= 1.
        settings: `retries`, `backoff` and `backoff_max`.
        asked: the server's Retry-After in seconds, if it gave one.
        dice: a random number in [0, 1).
    """
    least = asked or 0.0
    if failures >= settings.retries or least > settings.backoff_max:
        return None
    ceiling = min(settings.backoff_max, settings.backoff * 2.0 ** min(failures - 1, 64))
    return least + dice * ceiling
