"""One depot for all of them, made once; every test harms a copy of it. And what each of them shows, for docs/failures.md."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.settings import Repository
from simulator.system import System
from tests.support import failures
from tests.support.board import MISSING
from tests.support.mirror import Mirror


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """After a test that shows a fault: its row is on the page, or is noted for it."""
    done = yield
    mark = pyfuncitem.get_closest_marker("fault")
    if mark:
        fault, bench = mark.args[0], pyfuncitem.funcargs["bench"]
        assert isinstance(bench, Bench)
        line = failures.row(fault, bench.made)
        pyfuncitem.user_properties.append((failures.PROPERTY, json.dumps([*failures.key(fault), line])))
        if not pyfuncitem.config.getoption("--write-failures"):
            page = failures.rows(failures.PAGE.read_text())
            there = failures.alike(page.get(failures.key(fault), ""))
            assert there == failures.alike(line), "docs/failures.md is not what happened: run `make failures`"
    return done


class Bench:
    """Makes a board with 1.0.0 of the depot, in a folder of the test's own."""

    def __init__(self, depot: Depot, folder: Path) -> None:
        self.depot = depot
        self.folder = folder
        self.made: FastBoard

    def board(self, repository: Repository, channel: str = "stable") -> FastBoard:
        """A new board that follows `channel`. What failed is tried again when the test says so."""
        self.made = board = FastBoard.create(self.folder / "b", self.depot.image(System("1.0.0")), repository)
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
