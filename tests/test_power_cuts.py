# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The power goes before and after every effect of a whole update, once and twice: the product's own states, loop and resume.

The promises are asserted on every effect by simulator/world.py; here, how it ends. Then everything else that may happen, in
every state that a device gets into: the sweep, bounded (`make sweep` is the whole of it; docs/power-cuts.md).
"""

import asyncio
from itertools import product

import pytest

from otad.bootenv import Slot
from otad.statemachine import State
from simulator.bootloader import DEFAULT, Stop
from simulator.sweep.explore import Explorer
from simulator.sweep.history import told
from simulator.sweep.starts import scenarios
from simulator.world import Nature, Offered, World, with_cuts

FACTORY = World(Offered("1.1.0", Nature.GOOD), slots={Slot.A: "1.0.0", Slot.B: ""})
UPDATED = World(Offered("1.1.0", Nature.GOOD), env=DEFAULT._replace(boot_partition="B", otad_fallback="A"))
STARTS = {"factory-fresh": FACTORY, "updated once": UPDATED}
RELEASES = [
    *(Offered("1.1.0", nature) for nature in Nature),
    *(Offered("1.1.0", n, system=False) for n in (Nature.GOOD, Nature.UNHEALTHY)),
]


def lived(world):
    return asyncio.run(world.live())


def settled_well(world, end, *, cuts):
    """A good slot, no trial left armed, nothing half done, and the right release unless it was given up for the cuts."""
    told = f"{world.offered} cuts={dict(cuts)} effects={world.effects}"
    assert end is not Stop.RECOVERY, told
    assert world.nature(end) is Nature.GOOD, told
    assert world.record is not None and world.record.state is State.IDLE, told  # noqa: PT018
    assert world.record.home is end, told
    assert world.env.upgrade_available != "1", told
    assert world.env.otad_rollback == "", told
    good = world.offered.nature is Nature.GOOD
    assert world.runs == ("1.1.0" if good else "1.0.0"), told
    if world.offered.system:
        assert world.slots[end] == world.runs, told


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("offered", RELEASES, ids=str)
def test_without_a_cut(start, offered):
    world = with_cuts(STARTS[start], {})
    world.offered = offered
    settled_well(world, lived(world), cuts={})
    commits = world.chain.count(State.COMMIT)
    assert commits == (1 if offered.nature is Nature.GOOD else 0)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("offered", RELEASES, ids=str)
def test_one_cut_anywhere(start, offered):
    calm = with_cuts(STARTS[start], {})
    calm.offered = offered
    lived(calm)
    for n, when in product(range(1, len(calm.effects) + 1), ("before", "after")):
        world = with_cuts(STARTS[start], {n: when})
        world.offered = offered
        settled_well(world, lived(world), cuts=world.cuts)


@pytest.mark.parametrize("offered", RELEASES, ids=str)
def test_two_cuts_anywhere(offered):
    calm = with_cuts(FACTORY, {})
    calm.offered = offered
    lived(calm)
    reach = range(1, len(calm.effects) + 6)
    for (n, when), (m, then) in product(product(reach, ("before", "after")), product(reach, ("before", "after"))):
        if n < m:
            world = with_cuts(FACTORY, {n: when, m: then})
            world.offered = offered
            settled_well(world, lived(world), cuts=world.cuts)


def test_the_expected_chain_of_states():
    world = with_cuts(FACTORY, {})
    lived(world)
    chain = [State.IDLE, State.CHECK, State.DOWNLOAD, State.VERIFY, State.INSTALL, State.VALIDATE, State.COMMIT]
    assert world.chain == chain  # REBOOT ends with the process, not with a transition
    stores = [name for name in world.effects if name in {"proven", "retire", "arm", "confirm", "rollback"}]
    assert stores == ["proven", "retire", "arm", "confirm"]


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_whatever_happens_once(scenario):
    violation = Explorer(scenario, 1).explore()
    assert violation is None, told(violation)


def test_whatever_happens_twice():
    [scenario] = [one for one in scenarios() if one.name == "updated once, unhealthy release"]
    explorer = Explorer(scenario, 2)
    violation = explorer.explore()
    assert violation is None, told(violation)
    assert len(explorer.nodes) > 4000  # it went where it should
