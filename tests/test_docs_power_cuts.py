"""docs/boot.md says what the next boot does after a power cut: each row is cut and booted over the product's own states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from otad.bootenv import BootStatus
from otad.resume import Resumed, resume
from otad.statemachine import Record
from simulator.sweep import turns
from simulator.sweep.device import FRESH, Device, off
from simulator.sweep.graph import Graph, Node, Place
from simulator.sweep.scenario import Nature, Scenario

SECTION = "## What survives a power cut"
PAGE = (Path(__file__).parents[1] / "docs" / "boot.md").read_text().split(SECTION)[1].split("\n## ")[0]
TABLES = [
    [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    for table in re.findall(r"(?m)((?:^\|.*\n)+)", PAGE)
]
GOOD, BAD = Scenario("good", FRESH, Nature.GOOD), Scenario("bad", FRESH, Nature.UNHEALTHY)
LIVE = Scenario("live", FRESH, Nature.GOOD, system=False)
AFTER = {  # the rows' first cells, as effects of the sweep: name, and which one of that name
    "CHECK saved": ("journal: check", 1),
    "DOWNLOAD saved, any byte fetched": ("journal: download", 1),
    "VERIFY saved": ("journal: verify", 1),
    "INSTALL saved": ("journal: install", 1),
    "fallback retired": ("retire the fallback", 1),
    "B's pointer removed, B half written": ("half of slot B written", 1),
    "B written, synced, read back": ("slot B written", 1),
    "generation made, B points at it": ("slot B points at generation 1", 1),
    "REBOOT saved": ("journal: reboot", 1),
    "armed": ("arm B", 1),
    "VALIDATE saved, checks running": ("journal: validate", 1),
    "COMMIT saved": ("journal: commit", 1),
    "confirmed": ("confirm B", 1),
    "IDLE saved": ("journal: idle", 2),  # the first is the first start's
    "ROLLBACK saved, with its cause": ("journal: rollback", 1),
    "rollback written": ("roll back to A", 1),
    "ROLLBACK saved again, in A": ("journal: rollback", 2),
    "rollback settled": ("roll back to A", 2),
    "INSTALL saved, generation made": ("generation 1 made", 1),
    "VALIDATE saved": ("journal: validate", 1),
    "the slot's pointer renamed": ("slot A points at generation 1", 1),
}
ROWS = [
    (scenario, row)
    for scenario, table in zip((GOOD, BAD, LIVE), TABLES, strict=True)
    for row in table
    if "at most 3 times" not in row[2]
]


def lived(graph: Graph) -> Iterator[tuple[str, Device]]:
    """Every effect of a history in which nothing happens but the release, and the device after it."""
    node = Node(Place.OFF, graph.scenario.begins)
    for _ in range(40):
        quiet = graph.ways(node, last=True).quiet
        if node.place in {Place.UP, Place.LIVE}:
            yield from ((one.effect, one.device) for one in graph.turns.world.snapshots)
        assert quiet
        node = quiet.to


def booted(graph: Graph, device: Device) -> Node:
    """The device as it next runs Linux."""
    node = Node(Place.OFF, off(device))
    while node.place is Place.OFF:
        quiet = graph.ways(node, last=True).quiet
        assert quiet
        node = quiet.to
    return node


@pytest.mark.parametrize(("scenario", "row"), ROWS, ids=[f"{n}: {row[0]}" for n, (_, row) in enumerate(ROWS)])
def test_the_next_boot_is_as_the_page_says(scenario: Scenario, row: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rules: list[int] = []

    def spied(record: Record | None, boot: BootStatus, boot_id: str, pointer: int | None) -> Resumed:
        found = resume(record, boot, boot_id, pointer)
        rules.append(found.rule)
        return found

    monkeypatch.setattr(turns, "resume", spied)
    graph, (name, nth) = Graph(scenario), AFTER[row[0]]
    with closing(graph.turns):
        device = [device for effect, device in lived(graph) if effect == name][nth - 1]
        node = booted(graph, device)
        graph.ways(node, last=True)
    if scenario.system:
        _, _, next_boot, said, *_ = row
        assert (node.here.slot.value, rules[-1]) == (next_boot.strip("*"), int(said))
    else:
        _, next_boot, said, *_ = row
        assert ("the new set" if node.here.current else "the old set", rules[-1]) == (next_boot, int(said))
