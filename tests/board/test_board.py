"""The board in QEMU, with its real U-Boot, kernel, systemd and otad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.qemu import card, rootfs
from simulator.qemu.board import Board, overlay
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady
from simulator.qemu.uboot import BOARD

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def uboot() -> Path:
    try:
        return BOARD.made(Cache.default())
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A card as it leaves the factory: release 1.0.0 in slot A, nothing in B."""
    try:
        root = rootfs.made(Cache.default())
    except NotReady as error:
        pytest.fail(str(error), pytrace=False)
    base = tmp_path_factory.mktemp("factory") / "card.img"
    card.create(base, root, {})
    yield base
    base.unlink()


async def test_u_boot_counts_a_boot_and_otad_proves_it(uboot: Path, factory: Path, tmp_path: Path) -> None:
    async with Board(uboot, overlay(tmp_path / "card.qcow2", factory)) as board:
        await board.power_on()
        await board.until("bash-5")
        assert (await board.run("systemctl is-system-running --wait")).out == "running\n"
        found = await board.run("cat /run/otad/boot.json /proc/cmdline")
        assert '"unproven": 1' in found.out
        assert "otad.slot=A" in found.out
        proven = await board.run("fw_printenv otad_boots boot_partition upgrade_available")
        assert proven.out == "otad_boots=0\nboot_partition=A\nupgrade_available=0\n"
