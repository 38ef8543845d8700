"""Where histories begin: three devices, each with every release on offer that a device may meet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from simulator.sweep.device import FRESH, Device, off
from simulator.sweep.explore import Explorer
from simulator.sweep.graph import Place
from simulator.sweep.kept import later
from simulator.sweep.scenario import Nature, Scenario

BEFORE = "1.0.1"  # the release that a device met before this one


def scenarios() -> Iterator[Scenario]:
    """All of them. A release without a system image starts no kernel: it is good, or its checks fail, sooner or later."""
    for name, begins, before in devices():
        for nature in Nature:
            yield Scenario(f"{name}, {nature.value} release", begins, nature, before=before)
        for nature in (Nature.GOOD, Nature.UNHEALTHY, Nature.SICKENS):
            yield Scenario(f"{name}, {nature.value} release without a system image", begins, nature, system=False, before=before)


@cache
def devices() -> tuple[tuple[str, Device, dict[str, Nature]], ...]:
    """Each as the product itself left it, switched off."""
    return (
        ("factory-fresh", FRESH, {}),
        ("updated once", settled(Scenario("", FRESH, Nature.GOOD, version=BEFORE)), {}),
        ("fallen back", settled(Scenario("", FRESH, Nature.UNHEALTHY, version=BEFORE)), {BEFORE: Nature.UNHEALTHY}),
    )


def settled(scenario: Scenario) -> Device:
    """The device after a history in which nothing happened but the release on offer."""
    explorer = Explorer(scenario, 0)
    violation = explorer.explore()
    assert violation is None, violation
    rests = [node.device for node in explorer.nodes if node.place is Place.REST]
    device = off(rests[-1])
    return device._replace(memory=later(device.memory))
