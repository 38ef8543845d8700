"""How fast it goes and when it is done. Pure: the caller brings the clock.

Rules:
 1. The rate is a mean that forgets: a sample's weight halves every `HALF_LIFE` seconds, so that it follows a mobile link
    without jumping with every chunk.
 2. What was there before the first sample (a resumed download) counts as done, but not as speed.
 3. No rate is claimed before there are two samples, and no ETA while nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

HALF_LIFE = 5.0
"""Seconds after which a sample counts half."""


@dataclass(frozen=True)
class Progress:
    """How far one step is.

    step   what is being done, for people ("download", "write slot B")
    done   units so far; for transfers bytes
    total  units in all; 0 when not known
    at     monotonic seconds of the last sample
    rate   units per second; None until known
    """

    step: str
    done: int
    total: int
    at: float
    rate: float | None = None

    @property
    def eta(self) -> float | None:
        """Seconds to go; None when it cannot be told."""
        if not self.rate or self.total <= 0:
            return None
        return max(0, self.total - self.done) / self.rate

    def document(self) -> dict[str, object]:
        """Plain JSON data: step, done, total, rate (units/s or null), eta (s or null)."""
        eta = self.eta
        return {
            "step": self.step,
            "done": self.done,
            "total": self.total,
            "rate": None if self.rate is None else round(self.rate, 1),
            "eta": None if eta is None else round(eta, 1),
        }


def sample(before: Progress | None, step: str, done: int, total: int, at: float) -> Progress:
    """The progress after a sample taken at monotonic time `at` (s). Another step, or going back, starts afresh."""
    if before is None or before.step != step or done < before.done:
        return Progress(step, done, total, at)
    elapsed = at - before.at
    if elapsed <= 0:
        return replace(before, done=done, total=total)
    now = (done - before.done) / elapsed
    if before.rate is None:
        return Progress(step, done, total, at, now)
    old = 0.5 ** (elapsed / HALF_LIFE)
    return Progress(step, done, total, at, before.rate * old + now * (1 - old))
