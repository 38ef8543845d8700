"""How a board ends when nothing strikes any more, and what must hold then. Pure, but for a look at its cache.

Rules:
 1. The good release runs, committed; or the old one runs and the bad one is refused when it is offered again.
 2. A good release whose trial was cut off three times fell back by right: three boots are all that it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from otad.bootenv import Slot
from otad.statemachine import State
from simulator.fastboard import SLOT_SIZE
from simulator.torture.plan import Nature, Plan, Start
from simulator.torture.promises import Board
from simulator.torture.stock import OFFERS

TRIES = 3  # boots of a trial


@dataclass(frozen=True)
class End:
    """A board that sleeps: as it was found, what runs on it (version, slot), and how many boots of the trial were cut off."""

    plan: Plan
    found: Board
    running: str
    here: Slot
    trials: int

    @property
    def committed(self) -> bool:
        """The release came to stay."""
        last = self.found.events[-1]
        kept = (last["state"], last["outcome"]) == ("commit", "done") or _code(last) == "current"
        return kept and self.running == OFFERS[self.plan.nature].version

    @property
    def refused(self) -> bool:
        """The release was offered again, and not taken."""
        return _code(self.found.events[-1]) == "refused"

    def broken(self) -> Iterator[str]:
        """What does not hold."""
        record, env = self.found.record, self.found.env
        home = Slot.B if self.plan.start is Start.UPDATED else Slot.A
        if self.committed != (self.plan.nature is Nature.GOOD) and self.trials < TRIES:
            yield f"{self.plan.nature.value} release: {'committed' if self.committed else 'refused'}"
        if self.here is not (home.other if self.committed else home):
            yield f"slot {self.here.value} runs, and the release did not end there"
        if record is None or (record.state, record.home, record.attempt) != (State.IDLE, self.here, None):
            yield f"the journal is not at rest: {record}"
        if (env.upgrade_available, env.otad_rollback, self.found.selected) != ("0", "", self.here):
            yield f"the environment is not at rest: {env}"
        cache = sum(file.stat().st_size for file in (self.found.folder / "data" / "updates").iterdir())
        if cache > SLOT_SIZE:
            yield f"the cache holds {cache} bytes, more than one release brings"


def _code(event: dict[str, object]) -> str:
    cause = event.get("cause")
    return str(cause["code"]) if isinstance(cause, dict) else ""
