"""What the stories of this folder begin with: 1.1.0 is on offer, and the device has armed it, has confirmed it, or never saw it.

Each device is made once, and a story is told on an overlay of it. While the power is off its card may be changed:

    with inserted(field.board.card) as card: ...
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

import bench
from simulator.qemu import shelf
from simulator.qemu.board import Board
from simulator.qemu.cache import Cache
from simulator.qemu.field import End, Field
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import Moment
from simulator.qemu.tools import NotReady

STORIES = Path("build/stories.json")
TOLD = ("boot_partition", "upgrade_available", "bootcount", "otad_boots", "otad_fallback", "otad_rollback", "otad_recovery_cause")
"""Of the boot environment; the rest are scripts and addresses."""


class Record(Protocol):
    """Puts how a story ended into build/stories.json, and its seconds into build/bench.json."""

    def __call__(self, name: str, field: Field, end: End, *, since: float | None = None) -> None:
        """since: the second at which the trouble began that the device recovers from."""


@pytest.fixture
def record() -> Record:
    def written(name: str, field: Field, end: End, *, since: float | None = None) -> None:
        seconds = {} if end.slot == "recovery" else {"downtime": round(field.down_s(end))}
        seconds |= {} if since is None else {"recovery": round(end.at - since)}
        report = next((event for event in reversed(field.fleet.told("rollback")) if event["outcome"] == "done"), {})
        story = {
            "slot": end.slot,
            "running": end.running,
            "history": end.history,
            "env": {name: end.env[name] for name in TOLD if name in end.env},
            **{key: report[key] for key in ("cause", "evidence") if key in report},
            **{f"{what}_s": value for what, value in seconds.items()},
        }
        known = json.loads(STORIES.read_text()) if STORIES.exists() else {}
        STORIES.parent.mkdir(exist_ok=True)
        STORIES.write_text(json.dumps({**known, name: story}, indent=2, sort_keys=True) + "\n")
        bench.merge({f"{what}_{name}_s": value for what, value in seconds.items()})

    return written


def taken(make: Callable[[Cache], Moment]) -> Moment:
    try:
        return make(Cache.default())
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def moment() -> Moment:
    """The device that has armed 1.1.0, from which the fleet is taken too."""
    return taken(shelf.armed)


@pytest.fixture(scope="session")
def confirmed() -> Moment:
    """The device that has taken 1.1.0; made before `fleet` serves, for it is made with the same port."""
    return taken(shelf.committed)


@pytest.fixture(scope="session")
def repository(moment: Moment, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The fleet's repository, for all stories."""
    return moment.fleet(tmp_path_factory.mktemp("fleet") / "f")


@pytest.fixture
def fleet(repository: Fleet) -> Iterator[Fleet]:
    """The repository is served, and somebody takes the events."""
    with repository.serving():
        yield repository


@pytest.fixture
async def armed(moment: Moment, fleet: Fleet, tmp_path: Path) -> AsyncIterator[Field]:
    """A device that will boot 1.1.0 in slot B on trial when its power comes; 1.0.0 is in A."""
    async with begun(moment, fleet, tmp_path) as field:
        field.gone_s = moment.shutdown_s
        yield field


@pytest.fixture
async def committed(confirmed: Moment, fleet: Fleet, tmp_path: Path) -> AsyncIterator[Field]:
    """A device on which 1.1.0 runs in slot B, confirmed; 1.0.0 is in A."""
    async with begun(confirmed, fleet, tmp_path) as field:
        yield field


@pytest.fixture
async def settled(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Field]:
    """A device on which 1.0.0 runs in slot A, and nothing is in B. It does not know yet of 1.1.0, which is on offer."""
    async with begun(taken(shelf.settled), fleet, tmp_path) as field:
        yield field


@asynccontextmanager
async def begun(moment: Moment, fleet: Fleet, folder: Path) -> AsyncIterator[Field]:
    """The device, its power still off. At the end it is cut."""
    fleet.events.clear()
    async with Board(moment.parts.uboot, moment.card(folder / "card.qcow2")) as board:
        yield Field(board, fleet)
