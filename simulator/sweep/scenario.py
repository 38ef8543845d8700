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
    CRASHES = "crashing"  # boots, otad starts, and the kernel resets while the checks run
    SICKENS = "sickening"  # its checks hold through the soak, and fail in probation
    DEADLY = "deadly"  # installing it takes so much that otad is killed, every time
    ARMS = "arming"  # its bundle changes the boot environment itself


HEALTHY = {Nature.GOOD, Nature.SICKENS, Nature.DEADLY, Nature.ARMS}
"""Natures of a release whose checks hold on trial."""


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
        good = self.named(device.slot(running.slot).version) in HEALTHY
        return good and (generation is None or self.named(generation.version) in HEALTHY)

    def sickens(self, device: Device, running: Running) -> bool:
        """Whether what runs fails its checks in probation."""
        generation = device.generation(running.current)
        version = generation.version if generation else device.slot(running.slot).version
        return self.named(version) is Nature.SICKENS
