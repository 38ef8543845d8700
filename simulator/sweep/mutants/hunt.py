"""The hunt for a mutant: the sweep with it in place, with ever more events, until a property is broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from simulator.sweep.explore import Explorer
from simulator.sweep.mutants import Mutant, acts, equivalent, machine, meaning, stores
from simulator.sweep.starts import scenarios

BOUND = 2


class Hunted(NamedTuple):
    """A mutant, the property that it broke (empty: it survives), in a history of how many events, after how many states."""

    mutant: str
    breaks: str
    equivalent: str
    seen: str
    events: int
    states: int

    @property
    def right(self) -> bool:
        """Caught; or not, where nobody could tell the difference."""
        return bool(self.seen) is not bool(self.equivalent)


def mutants() -> Iterator[Mutant]:
    """All of them."""
    for part in (machine, meaning, acts, stores, equivalent):
        yield from part.MUTANTS


def hunt(name: str, bound: int = BOUND) -> Hunted:
    """Hunt the mutant with this name."""
    [mutant] = [one for one in mutants() if one.name == name]
    known = list(scenarios())  # as the product made them
    states = 0
    with mutant.applied():
        for events in range(bound + 1):
            for scenario in known:
                explorer = Explorer(scenario, events)
                violation = explorer.explore()
                states += len(explorer.nodes)
                if violation:
                    return Hunted(mutant.name, mutant.breaks, mutant.equivalent, violation.property, events, states)
    return Hunted(mutant.name, mutant.breaks, mutant.equivalent, "", bound, states)
