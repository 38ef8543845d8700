"""docs/boot.md says what the next boot does after a power cut: each row is cut and booted over the product's own states."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from otad.bootenv import BootStatus, Slot
from otad.resume import Resumed, resume
from otad.statemachine import Record
from simulator import world
from simulator.world import Nature, Offered, World, with_cuts

SECTION = "## What survives a power cut"
PAGE = (Path(__file__).parents[1] / "docs" / "boot.md").read_text().split(SECTION)[1].split("\n## ")[0]
TABLES = [
    [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    for table in re.findall(r"(?m)((?:^\|.*\n)+)", PAGE)
]
GOOD, BAD, LIVE = Offered("1.1.0", Nature.GOOD), Offered("1.1.0", Nature.UNHEALTHY), Offered("1.1.0", Nature.GOOD, system=False)
AFTER = {  # the rows' first cells, as effects of the world: name, and which one of that name
    "CHECK saved": ("save check", 1),
    "DOWNLOAD saved, any byte fetched": ("save download", 1),
    "VERIFY saved": ("save verify", 1),
    "INSTALL saved": ("save install", 1),
    "fallback retired": ("retire", 1),
    "B's pointer removed, B half written": ("write", 1),
    "B written, synced, read back": ("write", 2),
    "generation made, B points at it": ("point", 1),
    "REBOOT saved": ("save reboot", 1),
    "armed": ("arm", 1),
    "VALIDATE saved, checks running": ("save validate", 1),
    "COMMIT saved": ("save commit", 1),
    "confirmed": ("confirm", 1),
    "IDLE saved": ("save idle", 2),  # the first is the first start's
    "ROLLBACK saved, with its cause": ("save rollback", 1),
    "rollback written": ("rollback", 1),
    "ROLLBACK saved again, in A": ("save rollback", 2),
    "rollback settled": ("rollback", 2),
    "INSTALL saved, generation made": ("create", 1),
    "VALIDATE saved": ("save validate", 1),
    "the slot's pointer renamed": ("point", 1),
}
ROWS = [
    (offered, row)
    for offered, table in zip((GOOD, BAD, LIVE), TABLES, strict=True)
    for row in table
    if "at most 3 times" not in row[2]
]


def begins(offered: Offered) -> World:
    """A device of the factory: 1.0.0 in slot A, nothing in B."""
    return with_cuts(World(offered, slots={Slot.A: "1.0.0", Slot.B: ""}), {})


@pytest.mark.parametrize(("offered", "row"), ROWS, ids=[f"{n}: {row[0]}" for n, (_, row) in enumerate(ROWS)])
def test_the_next_boot_is_as_the_page_says(offered: Offered, row: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calm = begins(offered)
    asyncio.run(calm.live())
    name, nth = AFTER[row[0]]
    cut = [n for n, effect in enumerate(calm.effects, 1) if effect == name][nth - 1]
    boots: list[tuple[Slot | None, int | None, int]] = []

    def spied(record: Record | None, boot: BootStatus, boot_id: str, pointer: int | None) -> Resumed:
        found = resume(record, boot, boot_id, pointer)
        boots.append((boot.booted, pointer, found.rule))
        return found

    monkeypatch.setattr(world, "resume", spied)
    device = begins(offered)
    device.cuts = {cut: "after"}
    asyncio.run(device.live())
    booted, pointer, rule = boots[1 + calm.effects[: cut - 1].count("reboot")]  # the boot after the one that was cut
    if offered.system:
        _, _, next_boot, said, *_ = row
        assert (booted, rule) == (Slot(next_boot), int(said))
    else:
        _, next_boot, said, *_ = row
        assert ("the new set" if pointer else "the old set", rule) == (next_boot, int(said))
