"""The Generations port over a world: `otad.payload.generations` without files. A test holds the two to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otad.bootenv import Slot
from otad.errors import RetryLater
from otad.formats.release import Release
from otad.payload import Installed
from otad.ports import Generation
from otad.statemachine import Attempt
from simulator.sweep import properties
from simulator.sweep.device import Device, Made
from simulator.sweep.world import World


@dataclass(frozen=True)
class Generations:
    """Each change is one effect: one rename, one unlink."""

    world: World

    def create(self, attempt: Attempt, release: Release, installed: Sequence[Installed]) -> Generation:
        """The generation of `attempt`; the same one when called again."""
        device, here = self.world.device, self.world.running
        numbers = {made.attempt: made.generation.number for made in device.made}
        number = numbers.get(attempt.id) or max(numbers.values(), default=0) + 1
        if attempt.target:
            made = Generation(number, attempt.release, release.version, (), installed[0])
        else:
            base = device.generation(here.current)
            made = Generation(
                number, attempt.release, release.version, (), base.system if base else None, base.number if base else None
            )
        if device.generation(number) != made:
            others = [other for other in device.made if other.generation.number != number]
            all_ = sorted((*others, Made(attempt.id, made)), key=lambda one: one.generation.number)
            self._change(f"generation {number} made", device._replace(made=tuple(all_)))
        return made

    def at(self, slot: Slot) -> Generation | None:
        """What a slot points at."""
        return self.world.device.generation(self.world.device.pointer(slot))

    def number(self, number: int) -> Generation | None:
        """By number."""
        return self.world.device.generation(number)

    def point(self, slot: Slot, number: int) -> None:
        """One rename."""
        if self.number(number) is None:
            raise RetryLater("generation-missing", f"there is no generation {number}")
        world = self.world
        if (
            slot is world.running.slot and world.device.pointer(slot) != number
        ):  # this is how one without a system image is confirmed
            world.passes(properties.on_confirm(world.scenario, world.device, world.running))
            properties.must(world.running.current == number, "what was healthy is confirmed", f"{world.running}, not {number}")
        self._change(f"slot {slot.value} points at generation {number}", self.world.device.pointing(slot, number))

    def unpoint(self, slot: Slot) -> None:
        """One unlink."""
        self._change(f"slot {slot.value} points at nothing", self.world.device.pointing(slot, None))

    def activate(self, number: int | None) -> None:
        """In tmpfs: a cut forgets it. The checks that held were of something else."""
        world = self.world
        world.effect(f"generation {number} activated", running=world.running._replace(current=number, examined=False))

    def collect(self) -> None:
        """What no slot needs goes."""
        world = self.world
        roots = [self.number(one) for one in (world.running.current, *world.device.pointers) if one is not None]
        kept = {root.number for root in roots if root} | {root.previous for root in roots if root}
        left = tuple(made for made in world.device.made if made.generation.number in kept)
        self._change("generations collected", world.device._replace(made=left), may_fail=False)

    def _change(self, name: str, device: Device, *, may_fail: bool = True) -> None:
        if device == self.world.device:
            return
        if may_fail and self.world.choose("", f"/data cannot be written: {name}"):
            raise RetryLater("data-full", "no room", "")
        self.world.effect(name, device)
