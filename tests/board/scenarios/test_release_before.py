"""From the release of otad before this one to this one, and back: each must live with what the other left in /data.

As long as nothing is released, that is the otad of a hundred commits ago. OTAD_BEFORE=COMMIT tells it with another.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.qemu import card, rootfs
from simulator.qemu.board import Board, overlay
from simulator.qemu.cache import Cache
from simulator.qemu.field import Field
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import Parts
from tests.board.scenarios.conftest import Record


def git(*words: str, check: bool = True) -> bytes:
    return subprocess.run(["git", *words], capture_output=True, check=check, cwd=rootfs.PROJECT).stdout


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The image of slot A with the otad of OTAD_BEFORE, of the newest tag before this commit, or of a hundred commits ago."""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^", check=False).decode().strip()
    tree = tmp_path / "tree"
    tree.mkdir()
    try:
        archive = git("archive", os.environ.get("OTAD_BEFORE") or tag or "HEAD~100")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this checkout has no otad before this one: {error.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
    return rootfs.made(Cache.default(), tree, "board-root-before")


async def test_to_this_one_and_back(before: Path, tmp_path: Path, record: Record) -> None:
    parts = Parts.made(Cache.default())
    fleet = Fleet.create(tmp_path / "fleet", before)
    card.create(tmp_path / "factory.img", fleet.image("1.0.0", {}), {}, parts.recovery)
    fleet = replace(fleet, root=parts.root)
    fleet.offer("1.1.0")
    with fleet.serving():
        async with Board(parts.uboot, overlay(tmp_path / "card.qcow2", tmp_path / "factory.img")) as board:
            field = Field(board, fleet)
            await board.power_on()
            end = await field.settles(asking=True)
            assert (end.slot, end.running, end.results) == ("B", "1.1.0", [("1.1.0", "committed")])

            await board.run("otactl rollback --no-wait")
            await field.resets()
            end = await field.settles()
            assert (end.slot, end.running, end.results[0]) == ("A", "1.0.0", ("of the factory", "committed"))
            record("release_before", field, end)
