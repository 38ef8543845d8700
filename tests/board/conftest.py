"""The board of QEMU: what is built once for all of these tests, and what they measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench
from simulator.qemu.cache import Cache
from simulator.qemu.sandbox import Sandbox
from simulator.qemu.tools import NotReady

WHOLE = {"parity_cases": 860, "parity_cases_qemu": 40}
"""What a run of all the tests comes to, at least."""
QUICK = ("test_good.py", "test_unbootable.py", "test_otad_broken.py")
"""Stories that each change has to pass."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this needs the packages of tools/packages-qemu.txt, and minutes: `make test-board` and `make test-qemu` ask."""
    here = Path(__file__).parent
    for item in (item for item in items if here in item.path.parents):
        if here / "scenarios" in item.path.parents:
            item.add_marker(pytest.mark.timeout(3600))
            item.add_marker(pytest.mark.board if item.path.name in QUICK else pytest.mark.qemu)
        elif not item.get_closest_marker("qemu"):
            item.add_marker(pytest.mark.board)


@pytest.fixture(scope="session")
def measured() -> Iterator[Counter[str]]:
    """Figures, counted up by the tests; merged into build/bench.json, unless they are those of a part of the tests."""
    figures: Counter[str] = Counter()
    yield figures
    bench.merge({name: count for name, count in figures.items() if count >= WHOLE.get(name, 0)})


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The real U-Boot as a program."""
    try:
        return Sandbox.made(Cache.default(), tmp_path_factory.mktemp("sandbox"))
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)
