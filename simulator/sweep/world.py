"""The world that the product runs on for one turn: it makes a snapshot at every effect, and decides what is not the product's.

Rules:
 1. Every change goes through `effect`: afterwards the device as it is then has been noted, and `properties.on_any` asked.
 2. A cut or a kill needs no exception: it is one of the snapshots.
 3. What somebody or something else decides goes through `choose`. A script says what was chosen; beyond its end it is the
    first option, the quiet one. The explorer runs the turn again for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from otad.bootenv import Slot
from otad.errors import OtadError
from otad.statemachine import Outcome, State
from simulator.sweep import properties
from simulator.sweep.device import Content, Device, Memory, Running
from simulator.sweep.kept import Kept
from simulator.sweep.properties import Residual
from simulator.sweep.scenario import Scenario

PAUSES = 3  # the option of `moment` that stops only a download


class Snapshot(NamedTuple):
    """After an effect: its name, and all there is."""

    effect: str
    device: Device
    running: Running


class Choice(NamedTuple):
    """What could be chosen, and what was."""

    options: Sequence[str]
    chosen: int


class Rebooted(Exception):  # not an error
    """The reboot that the product asked for comes now."""


class World:
    """The device as it is now, what was noted, and what was chosen."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.kept = Kept(self._kept, lambda: bool(self.choose("", "the journal cannot be written")))
        self.device: Device
        self.running: Running
        self.snapshots: list[Snapshot]
        self.choices: list[Choice]
        self.residuals: set[Residual]
        self.met: set[tuple[State, Outcome] | int] = set()  # edges of TABLE, rules of resume()
        self.end: Callable[[], object]
        self.cancel: Callable[[], None]
        self.hold: Callable[[], None]
        self._script: Sequence[int]

    def begin(self, device: Device, running: Running, script: Sequence[int]) -> None:
        """A new turn."""
        self.device, self.running, self._script = device, running, script
        self.snapshots, self.choices, self.residuals = [], [], set()

    def effect(self, name: str, device: Device | None = None, running: Running | None = None) -> None:
        """Something has changed."""
        self.device, self.running = device or self.device, running or self.running
        self.snapshots.append(Snapshot(name, self.device, self.running))
        properties.on_any(self.device, self.running)

    def choose(self, *options: str) -> int:
        """Which of the options comes true; the first is the quiet one."""
        at = len(self.choices)
        chosen = self._script[at] if at < len(self._script) else 0
        self.choices.append(Choice(options, chosen))
        return chosen

    def fail(self, *faults: tuple[str, OtadError]) -> None:
        """Raise one of the faults, if it is chosen."""
        if chosen := self.choose("", *(words for words, _ in faults)):
            raise faults[chosen - 1][1]

    async def moment(self, during: str, *, stoppable: bool = False, holdable: bool = False) -> None:
        """An await of the product at which otad may be told to end, and a person may give an order."""
        orders = (f"a person cancels during {during}", f"a person pauses during {during}") if stoppable else ()
        chosen = self.choose("", f"otad is told to end during {during}", *orders)
        if not chosen:
            await asyncio.sleep(0)  # what was told to end, ends here
            return
        (self.end, self.cancel, self.hold)[chosen - 1]()
        if holdable or chosen < PAUSES:
            await asyncio.Event().wait()

    def passes(self, residual: Residual | None) -> None:
        """What is known and accepted was met."""
        if residual:
            self.residuals.add(residual)

    def _kept(self, memory: Memory) -> None:
        before, record = self.device.memory.load(), memory.load()
        self.effect(f"journal: {record.state.value if record else 'nothing'}", self.device._replace(memory=memory))
        properties.on_kept(before, self.device, self.running.slot)

    def content(self, slot: Slot, content: Content, name: str) -> None:
        """A slot holds something else."""
        self.effect(name, self.device.holding(slot, content))
