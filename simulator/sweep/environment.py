"""The BootEnvironment port over a world.

Rules:
 1. It is changed by the product's own variables (`bootenv.uboot`), each change in one store.
 2. Properties are asked before each change, and after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from otad.bootenv import BootStatus, Slot, uboot
from otad.errors import BootEnvironmentError
from simulator.sweep import properties
from simulator.sweep.device import Device, Lost
from simulator.sweep.properties import Broken
from simulator.sweep.world import World


@dataclass(frozen=True)
class Environment:
    """BootEnvironment over the model's variables, changed exactly as the real one changes them."""

    world: World

    def status(self) -> BootStatus:
        """As the variables say."""
        return uboot.boot_status(self.world.device.env._asdict(), self.world.running.slot)

    def problems(self, found: BootStatus) -> list[str]:
        """The scripts are always right, so what is left is whether U-Boot counted this boot."""
        return uboot.env_problems({**_SCRIPTS, **self.world.device.env._asdict()}, found)

    def retire(self) -> None:
        """INSTALL's first write. From here on the other slot is as good as overwritten."""
        device, other = self.world.device, self.world.running.slot.other
        self._store("retire the fallback", uboot.RETIRE, device.holding(other, device.slot(other)._replace(proved=False)))

    def arm(self, target: Slot) -> None:
        """Never the booted slot, never partial bytes."""
        world = self.world
        if target is world.running.slot:
            raise Broken("never arm the booted slot", target.value)
        record = world.device.memory.load()
        properties.on_arm(world.device, target, record.attempt if record else None)
        self._store(f"arm {target.value}", uboot.arm(target, world.running.slot))
        properties.on_armed(world.device, world.running)

    def confirm(self) -> None:
        """Only of the slot that runs and was healthy in this boot."""
        world = self.world
        world.passes(properties.on_confirm(world.scenario, world.device, world.running))
        here = world.running.slot
        proved = world.device.holding(here, world.device.slot(here)._replace(proved=True, given_up=False))
        self._store(f"confirm {here.value}", uboot.confirm(here), proved)
        properties.on_confirmed(world.device)

    def rollback(self, goal: Slot, keep: Slot | None = None) -> None:
        """Only to a slot that holds something whole. What is given up is not known to be good any more."""
        world, here = self.world, self.world.running.slot
        properties.on_select(world.device, goal, keep)
        device = world.device
        if goal is not here:
            device = device.holding(here, device.slot(here).without_proof())
        self._store(f"roll back to {goal.value}", uboot.rollback(goal, here, keep), device)
        properties.on_rolled_back(world.device, keep)

    def proven(self) -> None:
        """A stable boot."""
        self._store("proven", uboot.PROVEN)

    def _store(self, name: str, change: uboot.Change, device: Device | None = None) -> None:
        """One store; nothing is written when the environment says so already."""
        world = self.world
        before = world.device.env
        after = before._replace(**change)
        if after == before:
            return
        if world.choose("", f"fw_setenv fails: {name}"):
            raise BootEnvironmentError("bootenv-write", "fw_setenv exited 1", "")
        known = change != uboot.PROVEN and world.device.lost != Lost.BOTH  # a count says nothing about which slot is good
        lost = world.device.lost & ~Lost.ENVIRONMENT if known else world.device.lost
        world.effect(name, (device or world.device)._replace(env=after, lost=lost))


_SCRIPTS = {"altbootcmd": "run it", "bootcmd": "run otad_count; run otad_boot", "otad_count": "count", "otad_env_version": "2"}
