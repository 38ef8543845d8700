"""One depot for all of them, made once; every test harms a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.settings import Repository
from simulator.system import System
from tests.support.board import MISSING
from tests.support.mirror import Mirror


class Bench:
    """Makes boards with 1.0.0 of the depot, in a folder of the test's own."""

    def __init__(self, depot: Depot, folder: Path) -> None:
        self.depot = depot
        self.folder = folder

    def board(self, repository: Repository, channel: str = "stable") -> FastBoard:
        """A new board that follows `channel`. What failed is tried again when the test says so."""
        board = FastBoard.create(self.folder / "b", self.depot.image(System("1.0.0")), repository)
        board.configure("channel", f'[repository]\nchannel = "{channel}"\n')
        board.configure("patience", "[attempts]\nbackoff = 3600\n")  # FastBoard.pass_hours is what ends a wait
        return board


@pytest.fixture(scope="session")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Depot:
    """1.1.0 in the channel stable; others put what is bad into channels of their own."""
    if MISSING:
        pytest.skip(f"needs {', '.join(MISSING)}")
    depot = Depot.create(tmp_path_factory.mktemp("depot"))
    depot.offer(System("1.1.0", noise=4 << 20))
    return depot


@pytest.fixture
def mirror(depot: Depot, tmp_path: Path) -> Mirror:
    return Mirror(depot, tmp_path)


@pytest.fixture
def bench(depot: Depot, tmp_path: Path) -> Bench:
    return Bench(depot, tmp_path)
