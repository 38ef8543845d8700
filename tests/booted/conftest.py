"""A device whose user space is a real systemd, shared by the tests of this folder, which look at it in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from otad.publisher import image
from simulator import rootfs
from simulator.container import Container
from simulator.depot import Depot
from simulator.settings import PRODUCT, Repository

SIZE = 416 << 20  # bytes of a slot
CACHE = Path(__file__).parents[2] / "build" / "rootfs"

# The check passes only outside of otad's sandbox: as root with its capabilities, without otad's environment.
CHECKED = """
[[health.checks]]
type = "command"
name = "unbound"
options = { command = ["/bin/sh", "-c", "grep '^CapEff:.*[1-9a-f]' /proc/self/status && test -z \\"$OTAD_SANDBOX\\""] }

[[health.checks]]
type = "unit"
name = "services"
options = { units = ["dbus.service"] }

[reboot]
inhibitors = [["/bin/grep", "-q", "^CapEff:.*[1-9a-f]", "/proc/self/status"]]
"""


@dataclass(frozen=True)
class Factory:
    """Makes images of one tree, and offers them."""

    folder: Path
    tree: Path
    depot: Depot

    def image(self, version: str) -> Path:
        """The tree as it is now, as release `version`."""
        to = self.folder / f"{version}.img"
        identity = image.Identity(product=PRODUCT, version=version)
        image.from_directory(self.tree, to, identity, image.Make(SIZE, image.source_date_epoch()))
        return to

    def offer(self, version: str) -> None:
        """Sign the tree as it is now as a release, and roll it out."""
        made = self.image(version)
        self.depot.add(version, self.depot.pack(version, made))
        made.unlink()
        self.depot.roll_out(version)


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    if missing := [tool for tool in ("systemd-nspawn", "nsenter", "losetup", "mkfs.ext4") if not shutil.which(tool)]:
        pytest.skip(f"needs {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root: for loop devices and containers")
    folder = tmp_path_factory.mktemp("factory")
    try:
        root = rootfs.base(CACHE)
    except rootfs.Unavailable as error:
        pytest.skip(str(error))
    tree = rootfs.with_otad(root, folder / "tree")
    return Factory(folder, tree, Depot.create(folder / "depot"))


@pytest.fixture(scope="session")
def board(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """It left the factory with 1.0.0, and 1.1.0 is on offer."""
    first = factory.image("1.0.0")
    factory.offer("1.1.0")
    with served(factory.depot) as repository:
        made = Container.create(tmp_path_factory.mktemp("board") / "b", first, repository)
        (made.data / "otad" / "conf.d").mkdir(parents=True)
        (made.data / "otad" / "conf.d" / "checks.toml").write_text(CHECKED)
        with made:
            yield made


@contextmanager
def served(depot: Depot) -> Iterator[Repository]:
    """As `Depot.served`, in a thread."""
    told: list[Repository] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with depot.served() as repository:
            told.append(repository)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(60)
        yield told[0]
    finally:
        over.set()
        thread.join()
