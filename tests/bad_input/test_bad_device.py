# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The slot that is to be written cannot take it, or the disk is another board's."""

import json
import os

import pytest

from simulator.fastboard import SLOT_SIZE
from tests.support.board import (
    REAL_PARTS,
    B,
    goes_on,
    journal,
    keep,
    refused,
    rest,
    shown,
)
from tests.support.failures import Place, fault
from tests.support.mounts import attached, inside, mounted, run

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


@fault(Place.DEVICE, "The other slot: missing", "Refuses before anything is written, and tries again")
async def test_no_target(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        away = board.slots[B].rename(board.folder / "away")
        await refused(board, "target-missing", "slot B", str(board.slots[B]))
        away.rename(board.slots[B])
        await goes_on(board)


@fault(Place.DEVICE, "The other slot: too small", "Refuses the release for this campaign: no time makes a partition larger")
async def test_a_target_that_is_too_small(bench, mirror):
    """No time makes a partition larger: refused until somebody says otherwise."""
    async with mirror.served() as repository, bench.board(repository) as board:
        os.truncate(board.slots[B], 1 << 20)
        event = await refused(board, "target-too-small", "slot B", str(1 << 20))
        assert (event["state"], event["outcome"]) == ("verify", "rejected")
        os.truncate(board.slots[B], SLOT_SIZE)


@fault(
    Place.DEVICE,
    "The other slot: in use (a loop device, RAID, dm-crypt over it)",
    "Refuses before anything is written, and tries again",
)
async def test_a_target_in_use(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        with attached(board.slots[B]) as device:
            await refused(board, "target-in-use", "slot B", device.removeprefix("/dev/"))
        await goes_on(board)


@fault(
    Place.DEVICE, "The other slot: mounted", "Refuses before anything is written, and tries again. What is mounted is not touched"
)
async def test_a_mounted_target(bench, mirror, tmp_path):
    """SWUpdate itself would overwrite it, and report success."""
    async with mirror.served() as repository, bench.board(repository) as board:
        run("mkfs.ext4", "-q", board.slots[B])
        point = tmp_path / "point"
        point.mkdir()
        with attached(board.slots[B]) as device, mounted(device, at=point):
            board.configure("mounts", '[paths]\nmounts = "/proc/self/mountinfo"\n')
            (point / "photo").write_bytes(b"somebody's")
            await refused(board, "target-mounted", "slot B", str(point))
            assert (point / "photo").read_bytes() == b"somebody's"
        await goes_on(board)


@fault(Place.DEVICE, "Identity: the disk is a copy of another board's", "Makes an id of its own, and says so once")
async def test_a_cloned_disk(bench, mirror):
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        identity = board.folder / "data" / "otad" / "identity"
        identity.write_text(json.dumps({"id": "ab" * 16, "board": {"emmc": "the other board's"}}))
        card = "/sys/block/mmcblk0/device"
        inside(board, f"mount -t tmpfs tmpfs /sys/block; mkdir -p {card}; echo this board > {card}/cid")
        kept = keep(board)
        await board.power_on()
        await rest(board)
        told = next(event for event in journal(board)[1] if event.get("cause"))
        assert told["cause"]["code"] == "identity-new"
        assert told["device"] == json.loads(identity.read_text())["id"] != "ab" * 16
        assert keep(board) == kept
        await shown(board, told["cause"])
