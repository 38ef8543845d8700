"""The sweep, bounded: the product's own machine, states, resume, book and journal, in every state that a device gets into.

`make sweep` is the whole of it; docs/power-cuts.md says what is explored and what must hold. The promises are asserted on
every effect and wherever a device ends, by simulator/sweep/properties.py.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from simulator.sweep import properties
from simulator.sweep.device import Lost
from simulator.sweep.explore import Explorer
from simulator.sweep.graph import Graph, Node, Place
from simulator.sweep.history import told
from simulator.sweep.properties import GOOD_END, Broken, Residual
from simulator.sweep.scenario import Nature, Scenario
from simulator.sweep.starts import scenarios

SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_happens_once(name: str) -> None:
    violation = Explorer(SCENARIOS[name], 1).explore()
    assert violation is None, told(violation)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["updated once, unhealthy release", "factory-fresh, good release without a system image"])
def test_whatever_happens_twice(name: str) -> None:
    explorer = Explorer(SCENARIOS[name], 2)
    violation = explorer.explore()
    assert violation is None, told(violation)
    assert len(explorer.nodes) > 1000  # it went where it should


@pytest.mark.parametrize(("broken", "excused"), [(GOOD_END, True), ("no trial is left armed", False)])
def test_who_lost_environment_and_journal_is_excused_a_bad_slot_and_nothing_else(
    broken: str, excused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_rest(*_: object) -> None:
        raise Broken(broken, "")

    monkeypatch.setattr(properties, "at_rest", at_rest)
    scenario = SCENARIOS["factory-fresh, good release"]
    explorer = Explorer(replace(scenario, begins=scenario.begins._replace(lost=Lost.BOTH)), 0)
    assert (explorer.explore() is None) is excused
    assert bool(explorer.residuals[Residual.BOTH_LOST]) is excused


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENARIOS if "good release" in name or "unhealthy" in name])
def test_the_power_goes_twice_and_the_right_release_arrives_all_the_same(name: str) -> None:
    violation = Explorer(SCENARIOS[name], 2, only="the power goes").explore()
    assert violation is None, told(violation)


def test_the_expected_chain_of_effects() -> None:
    graph = Graph(SCENARIOS["factory-fresh, good release"])
    told: list[str] = []
    with closing(graph.turns):
        node = Node(Place.OFF, graph.scenario.begins)
        while node.place is not Place.REST:
            quiet = graph.ways(node, last=True).quiet
            assert quiet
            if node.place in {Place.UP, Place.LIVE}:
                told += [one.effect for one in graph.turns.world.snapshots]
            node = quiet.to
    states = ["check", "download", "verify", "install", "reboot", "validate", "commit", "idle"]
    assert [effect.removeprefix("journal: ") for effect in told if effect.startswith("journal")] == ["idle", *states]
    assert [effect for effect in told if not effect.startswith("journal")] == [
        "proven",
        "retire the fallback",
        "half of slot B written",
        "slot B written",
        "generation 1 made",
        "slot B points at generation 1",
        "applications stopped",
        "arm B",
        "confirm B",
    ]


def test_a_broken_promise_is_told_as_a_history() -> None:
    """A release that says of itself that it is good, and is not the one that its slot holds."""

    class Liar(Scenario):
        def named(self, version: str) -> Nature:
            return Nature.UNHEALTHY if version == "1.0.0" else super().named(version)

    begins = SCENARIOS["factory-fresh, good release"].begins
    violation = Explorer(Liar("a bad factory", begins, Nature.UNHEALTHY), 0).explore()
    assert violation is None  # both slots are bad: there is nothing better

    class Silent(Scenario):
        def sickens(self, device: object, running: object) -> bool:
            raise RuntimeError("no words")

    violation = Explorer(Silent("a check that raises", begins, Nature.GOOD), 0).explore()
    assert violation is not None
    lines = told(violation).splitlines()
    assert lines[0] == "BROKEN: otad never crashes"
    assert "no words" in lines[1]
    assert any("slot B boots" in line for line in lines)
