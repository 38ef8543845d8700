"""Scenarios: the device that begins, and the release that is on offer to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from simulator.sweep.device import Content, Device, Running

OFFERED = "1.1.0"


class Nature(str, Enum):
    """What a release turns out to be."""

    GOOD = "good"
    UNHEALTHY = "unhealthy"  # boots, and its checks fail
    PANICS = "panicking"  # the kernel starts and resets
    UNLOADABLE = "unloadable"  # the boot loader cannot load it
    MUTE = "mute"  # boots, and its otad never starts: otad-deadline reboots


@dataclass(frozen=True)
class Scenario:
    """One release on offer to one device.

    begins  the device, powered off
    nature  of the release
    system  it brings a system image
    natures of the releases before it; good if it is not there
    """

    name: str
    begins: Device
    nature: Nature
    system: bool = True
    version: str = OFFERED
    before: dict[str, Nature] = field(default_factory=dict)

    def named(self, version: str) -> Nature:
        """What a release is."""
        return self.nature if version == self.version else self.before.get(version, Nature.GOOD)

    def of(self, content: Content) -> Nature:
        """What boots from a slot."""
        if content.rotten or not content.whole or not content.version:
            return Nature.UNLOADABLE
        return self.named(content.version)

    def runs_well(self, device: Device, running: Running) -> bool:
        """Whether the system that runs and its applications are good. Rot in a slot that runs shows at its next boot."""
        generation = device.generation(running.current)
        good = self.named(device.slot(running.slot).version) is Nature.GOOD
        return good and (generation is None or self.named(generation.version) is Nature.GOOD)
