"""The exploration: breadth first by the number of disruptive events, every state once; then how each ends by itself.

Rules:
 1. A state is reached first by the fewest events, so what may still happen to it is never cut short by a longer history.
 2. Every state goes on by itself in one way: followed to its end, that tells whether it settles well, and in how many boots.
 3. The first violation ends the exploration, with the history that led there.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from otad.statemachine import Outcome, State
from simulator.sweep import properties
from simulator.sweep.device import Lost
from simulator.sweep.graph import Graph, Node, Place
from simulator.sweep.properties import BOOTS, Broken, Residual, must
from simulator.sweep.scenario import Scenario

Script = tuple[int, ...]
STEPS = 300  # more than any device takes that something happened to


@contextmanager
def _silence() -> Iterator[None]:
    """Otad tells what happens to it; of so many devices that is too much, and of none that is there."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class Violation(NamedTuple):
    """A property that does not hold, what was seen, and how to get there: what happened, and where that led."""

    scenario: str
    property: str
    seen: str
    history: tuple[tuple[str, Node], ...]


class Visit(NamedTuple):
    """A state that was reached: from which one, by what. With a script it is run once more, by other choices."""

    node: Node
    parent: int
    label: str
    script: Script = ()
    steps: int = 0  # since something happened


Layer = dict[tuple[Node, Script], Visit]


class Explorer:
    """Explores one scenario with at most `bound` disruptive events in a history.

    only  nothing else happens than what begins like this; then the right release must arrive in spite of it
    """

    def __init__(self, scenario: Scenario, bound: int, only: str = "") -> None:
        self.nodes: list[Node] = []
        self.edges = 0
        self.residuals: Counter[Residual] = Counter()
        self._scenario = scenario
        self._bound = bound
        self._only = only
        self._graph = Graph(scenario)
        self._index: dict[Node, int] = {}
        self._parents: list[tuple[int, str]] = []
        self._quiet: list[Node | None] = []  # where it goes on by itself
        self._reboots: list[bool] = []  # by a power-on
        self._boots: list[int] = []  # power-ons until it has settled

    def explore(self) -> Violation | None:
        """All of it; the first violation, if there is one."""
        with closing(self._graph.turns), _silence():
            return self._explored()

    @property
    def met(self) -> set[tuple[State, Outcome] | int]:
        """Edges of TABLE and rules of resume() that the product took."""
        return self._graph.turns.world.met

    @property
    def boots(self) -> int:
        """Power-ons until the slowest device has settled."""
        return max(self._boots)

    def _explored(self) -> Violation | None:
        begins = Node(Place.OFF, self._scenario.begins)
        layer: Layer = {(begins, ()): Visit(begins, -1, "it begins")}
        for happened in range(self._bound + 1):
            ahead: Layer = {}
            violation = self._reached(layer, ahead, last=happened == self._bound) or self._ended()
            if violation:
                return violation
            layer = ahead
        return None

    def _reached(self, layer: Layer, ahead: Layer, *, last: bool) -> Violation | None:
        """Everything that is reached by as many events as `layer` was; what one more event leads to goes into `ahead`."""
        todo = deque(layer.values())
        while todo:
            visit = todo.popleft()
            if not visit.script and visit.node in self._index:
                continue
            try:
                todo.extend(self._visit(visit, ahead, last=last))
            except Broken as broken:
                did = [(f"({one.effect})", visit.node) for one in self._graph.turns.world.snapshots]
                return self._violation(broken, (*self._history(visit.parent), (visit.label, visit.node), *did))
        return None

    def _visit(self, visit: Visit, ahead: Layer, *, last: bool) -> list[Visit]:
        """Note a state, and what it leads to."""
        node, script = visit.node, visit.script
        must(visit.steps <= STEPS, "it comes to rest", f"not in {STEPS} steps")
        at = self._index[node] if script else self._note(visit)
        way = self._graph.ways(node, script, last=last)
        self.residuals.update(way.residuals)
        self.edges += len(way.events) + (way.quiet is not None)
        for edge in way.events:
            if edge.to not in self._index and edge.label.startswith(self._only):
                ahead.setdefault((edge.to, ()), Visit(edge.to, at, edge.label))
        for label, other in () if self._only else way.choices:
            ahead[node, other] = Visit(node, at, label, other)
        if way.quiet is None:
            return []
        if not script:
            self._quiet[at], self._reboots[at] = way.quiet.to, way.quiet.boots
        label = f"{visit.label}; {way.quiet.label}" if script else way.quiet.label
        return [Visit(way.quiet.to, at, label, steps=visit.steps + 1)]

    def _note(self, visit: Visit) -> int:
        at = self._index[visit.node] = len(self.nodes)
        self.nodes.append(visit.node)
        self._parents.append((visit.parent, visit.label))
        self._quiet.append(None)
        self._reboots.append(False)
        self._boots.append(-1)
        return at

    # -- how it ends ------------------------------------------------------------------------------------------------------

    def _ended(self) -> Violation | None:
        """Follow every state that has not been followed yet to where it ends by itself."""
        for start in range(len(self.nodes)):
            if self._boots[start] >= 0:
                continue
            way, places = self._way_on(start)
            try:
                self._judge(way, places)
            except Broken as broken:
                if self.nodes[way[-1]].device.lost == Lost.BOTH and broken.name == properties.GOOD_END:
                    self.residuals[Residual.BOTH_LOST] += 1
                    continue
                return self._violation(broken, (*self._history(start), *self._by_itself(way)))
        return None

    def _way_on(self, start: int) -> tuple[list[int], dict[int, int]]:
        """The states from `start` on, until one that is known, or that was met on the way; and the place of each."""
        way: list[int] = []
        places: dict[int, int] = {}
        at = start
        while self._boots[at] < 0 and at not in places:
            places[at] = len(way)
            way.append(at)
            quiet = self._quiet[at]
            if quiet is None:
                return way, places
            at = self._index[quiet]
        return [*way, at], places

    def _judge(self, way: list[int], places: dict[int, int]) -> None:
        """Raise Broken unless it settles well, and soon."""
        last = way[-1]
        if self._quiet[last] is None:
            self._boots[last] = 0
            self._passes(properties.without_otad(self._scenario, self.nodes[last].device))
        if self._boots[last] < 0:
            circle = way[places[last] :]
            for at in circle:
                self._boots[at] = 0
            self._judge_end(circle, way[0])
        for at, after in zip(reversed(way[:-1]), reversed(way[1:]), strict=True):
            if self._boots[at] < 0:
                self._boots[at] = self._boots[after] + self._reboots[at]
        must(self._boots[way[0]] <= BOOTS, f"settled within {BOOTS} boots", f"{self._boots[way[0]]} boots")

    def _judge_end(self, circle: list[int], start: int) -> None:
        """Raise Broken unless a device may go round like this for ever."""
        nodes = [self.nodes[at] for at in circle]
        places = {node.place for node in nodes}
        if Place.RECOVERY in places:
            self._passes(properties.in_recovery(self._scenario, nodes[-1].device))
            return
        must(not any(self._reboots[at] for at in circle), "it does not boot for ever", f"{len(nodes)} states in a circle")
        must(Place.REST in places, "it comes to rest", f"{len(nodes)} states in a circle")
        for node in nodes:
            if node.place is Place.REST:
                self._passes(properties.at_rest(self._scenario, node.device, node.here))
        if (start == 0 or self._only) and nodes[-1].running:
            properties.undisturbed(self._scenario, nodes[-1].device, nodes[-1].here)

    def _passes(self, residual: Residual | None) -> None:
        if residual:
            self.residuals[residual] += 1

    # -- telling ----------------------------------------------------------------------------------------------------------

    def _history(self, at: int) -> list[tuple[str, Node]]:
        """How a state is reached."""
        told: list[tuple[str, Node]] = []
        while at >= 0:
            parent, label = self._parents[at]
            told.append((label, self.nodes[at]))
            at = parent
        return told[::-1]

    def _by_itself(self, way: list[int]) -> list[tuple[str, Node]]:
        """How it went on when nothing happened any more."""
        quiet = [self._graph.ways(self.nodes[at], last=True).quiet for at in way[:-1]]
        return [(edge.label, edge.to) for edge in quiet if edge]

    def _violation(self, broken: Broken, history: tuple[tuple[str, Node], ...]) -> Violation:
        return Violation(self._scenario.name, broken.name, broken.seen, tuple(history))
