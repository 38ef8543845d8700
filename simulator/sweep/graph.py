"""The state graph: from a node, the one way that it goes when nothing happens, and all that may happen instead.

Rules:
 1. A node is everything: device, what a cut forgets, and where the device stands. Nothing else is remembered.
 2. Every node has exactly one quiet edge, or none where it ends. Each other edge is one disruptive event.
 3. Between any two effects the power may go and otad may be killed: those edges come from the snapshots of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from otad.bootenv import Slot
from otad.bootenv.uboot import boot_status
from simulator.bootloader import DEFAULT, Env, Loads, Stop, power_on, retry, stored
from simulator.sweep import properties
from simulator.sweep.device import Device, Lost, Memory, Running, canonical, off
from simulator.sweep.kept import later
from simulator.sweep.properties import Residual
from simulator.sweep.scenario import Nature, Scenario
from simulator.sweep.turns import End, Turns
from simulator.sweep.world import Choice, Snapshot


class Place(str, Enum):
    """Where a device stands."""

    OFF = "off"
    UP = "Linux runs, otad does not"
    LIVE = "otad runs"
    REST = "nothing to do"
    RECOVERY = "recovery"
    LOST = "Linux runs, otad never will"


class Node(NamedTuple):
    """One state of everything."""

    place: Place
    device: Device
    running: Running | None = None

    @property
    def here(self) -> Running:
        """What runs, where something does."""
        assert self.running is not None
        return self.running


class Edge(NamedTuple):
    """A way on. `boots`: it is a power-on."""

    label: str
    to: Node
    boots: bool = False


class Way(NamedTuple):
    """What a node leads to.

    quiet      when nothing happens; None where it ends
    events     each is one disruptive event
    choices    scripts for `ways` in which one more thing was decided otherwise, with what that is
    residuals  met on the quiet way
    """

    quiet: Edge | None
    events: Sequence[Edge] = ()
    choices: Sequence[tuple[str, tuple[int, ...]]] = ()
    residuals: frozenset[Residual] = frozenset()


BROWN_OUTS = (4, 9)
"""Power-ups in a row that never reach otad: more than a trial has, more than a stable slot has."""


class Graph:
    """The graph of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.turns = Turns(scenario)

    def ways(self, node: Node, script: tuple[int, ...] = (), *, last: bool = False) -> Way:
        """What `node` leads to, by `script`; `last`: nothing may happen any more."""
        happens = () if last or script else tuple(self._happens(node))
        if node.place in {Place.UP, Place.LIVE}:
            return self._run(node, script, happens, last=last)
        return Way(self._quiet(node), happens)

    def _quiet(self, node: Node) -> Edge | None:
        if node.place is Place.OFF:
            return self._power_on(node.device)
        if node.place is Place.RECOVERY:
            return Edge("half an hour in recovery", Node(Place.OFF, _given_up(node.device, retry(node.device.env))))
        if node.place is Place.LOST:
            return None
        if node.device.env.upgrade_available == "1":
            return Edge("otad-deadline reboots", Node(Place.OFF, off(node.device)))
        device = node.device._replace(memory=later(node.device.memory))
        return Edge("hours pass", Node(Place.LIVE if node.here.awake else Place.UP, device, node.running))

    def _power_on(self, device: Device) -> Edge:
        """U-Boot, and the kernel."""
        boot = power_on(device.env, self._loads(device), recovery=True)
        after = _given_up(device, stored(device.env, boot))
        if boot.end is Stop.RESET:
            return Edge(f"slot {boot.unloadable and boot.unloadable.value} does not load", Node(Place.OFF, after), boots=True)
        if boot.end is Stop.RECOVERY:
            return Edge("recovery boots", Node(Place.RECOVERY, after), boots=True)
        slot = Slot(boot.end)
        nature = self.scenario.of(after.slot(slot))
        if nature is Nature.PANICS:
            return Edge(f"slot {slot.value} panics", Node(Place.OFF, after), boots=True)
        if nature is Nature.MUTE and after.env.upgrade_available == "1":
            return Edge(f"slot {slot.value} boots, no otad: otad-deadline reboots", Node(Place.OFF, after), boots=True)
        running = Running(slot, after.pointer(slot))
        properties.on_any(after, running)
        return Edge(
            f"slot {slot.value} boots", Node(Place.LOST if nature is Nature.MUTE else Place.UP, after, running), boots=True
        )

    def _loads(self, device: Device) -> Loads:
        return lambda slot: self.scenario.of(device.slot(slot)) is not Nature.UNLOADABLE

    def _run(self, node: Node, script: tuple[int, ...], happens: Sequence[Edge], *, last: bool) -> Way:
        """The product runs."""
        run = self.turns.start if node.place is Place.UP else self.turns.turn
        end, world = run(node.device, node.here, script), self.turns.world
        names = [one.effect for one in world.snapshots]
        label = ", ".join(names) or end.value
        quiet = Edge(label, self._after(end, world.device, world.running))
        choices: list[tuple[str, tuple[int, ...]]] = []
        cuts: list[Edge] = []
        if not last:
            choices = list(_otherwise(world.choices, len(script)))
            cuts = [edge for one in world.snapshots[:-1] for edge in _interrupted(one)]
            if end is End.REBOOTS and world.snapshots:
                cuts += _interrupted(world.snapshots[-1])
        return Way(quiet, (*happens, *cuts), choices, frozenset(world.residuals))

    def _after(self, end: End, device: Device, running: Running) -> Node:
        if end is End.REBOOTS:
            return Node(Place.OFF, off(device))
        place = {End.TURNED: Place.LIVE, End.ENDED: Place.UP}.get(end, Place.REST)
        return Node(place, *canonical(device, running))

    def _happens(self, node: Node) -> Iterator[Edge]:
        """What may happen to a device wherever it stands."""
        device = node.device
        for slot in Slot:
            content = device.slot(slot)
            if content.version and content.whole and not content.rotten:
                yield Edge(f"slot {slot.value} rots", node._replace(device=device.holding(slot, content._replace(rotten=True))))
        if node.place is Place.OFF:
            yield from self._happens_off(device)
            return
        if node.place in {Place.UP, Place.LIVE, Place.REST}:
            yield Edge("the power goes, or somebody reboots", Node(Place.OFF, off(device)))
        if node.place in {Place.LIVE, Place.REST} and device.env.upgrade_available != "1":
            counts = device.env._replace(bootcount="3", otad_boots="1")
            yield Edge("another tool writes the counts", node._replace(device=device._replace(env=counts)))
        if node.place is Place.LIVE:
            yield Edge("otad is killed", Node(Place.UP, device, node.here._replace(awake=False, refused="")))

    def _happens_off(self, device: Device) -> Iterator[Edge]:
        boot = power_on(device.env, self._loads(device), recovery=True)
        for n, env in enumerate(boot.stores, 1):
            yield Edge(f"the power goes after U-Boot's store {n}", Node(Place.OFF, _given_up(device, env)))
        if device.memory != Memory():
            yield Edge("the journal is lost", Node(Place.OFF, _lost(device, Lost.JOURNAL)._replace(memory=Memory())))
        if device.env != DEFAULT:
            yield Edge("the environment is lost", Node(Place.OFF, _lost(device, Lost.ENVIRONMENT)._replace(env=DEFAULT)))
        for times in BROWN_OUTS:
            browned = device
            for _ in range(times):
                boot = power_on(browned.env, self._loads(browned), recovery=True)
                browned = _given_up(browned, stored(browned.env, boot))
            yield Edge(f"{times} power-ups too short for otad", Node(Place.OFF, browned))


def _otherwise(choices: Sequence[Choice], known: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each script in which one more thing is decided otherwise, beyond those that are `known`; and all that is, in words."""
    for n in range(known, len(choices)):
        before = tuple(choice.chosen for choice in choices[:n])
        words = [choice.options[choice.chosen] for choice in choices[:n] if choice.chosen]
        for m, option in enumerate(choices[n].options[1:], 1):
            yield ", ".join((*words, option)), (*before, m)


def _interrupted(one: Snapshot) -> tuple[Edge, Edge]:
    """After an effect the power goes, or otad is killed."""
    device, running = canonical(one.device, one.running)
    assert running is not None
    up = running._replace(awake=False, refused="")
    return (
        Edge(f"the power goes after: {one.effect}", Node(Place.OFF, off(device))),
        Edge(f"otad is killed after: {one.effect}", Node(Place.UP, device, up)),
    )


def _given_up(device: Device, env: Env) -> Device:
    """After U-Boot's stores: a slot that it gives up is not known to be good any more."""
    status = boot_status(env._asdict(), None)
    if status.failed and env.otad_rollback != device.env.otad_rollback:
        device = device.holding(status.failed, device.slot(status.failed).without_proof())
    return device._replace(env=env)


def _lost(device: Device, what: int) -> Device:
    """The ghost of a loss: it matters while slot A is not known to be good."""
    return device if device.slot(Slot.A).proved else device._replace(lost=device.lost | what)
