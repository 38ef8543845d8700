# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The slot that is to be written cannot take it, or the data partition is full."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager, suppress

import pytest

from simulator.fastboard import SLOT_SIZE
from tests.support.board import (
    PATIENCE,
    REAL_PARTS,
    B,
    calm,
    chain,
    goes_on,
    harmless,
    inside,
    journal,
    keep,
    refused,
    rest,
    shown,
)
from tests.support.failures import Place, fault
from tests.support.slow import SlowInstall

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


def need_root(*tools):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def attached(file):
    """A loop device over `file`; skipped where this machine has none."""
    need_root("losetup", "mkfs.ext4")
    found = subprocess.run(["losetup", "--find", "--show", file], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"no loop device here: {found.stderr.strip()}")
    device = found.stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def mounted(*arguments, at):
    need_root("mount")
    tried = subprocess.run(["mount", *arguments, at], check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"cannot mount here: {tried.stderr.strip()}")
    try:
        yield
    finally:
        run("umount", "--lazy", at)


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


@pytest.fixture
async def small(bench, mirror):
    """A board whose data partition is a file system of 16 MiB."""
    async with mirror.served() as repository, bench.board(repository) as board:
        data = board.folder / "data"
        with mounted("-t", "tmpfs", "-o", "size=16m", "tmpfs", at=data):
            for folder in (data / "otad", data / "updates"):
                folder.mkdir()
            yield board
            await board.cut()


def fill(file):
    """To the last byte."""
    room = os.statvfs(file.parent)
    with file.open("wb", buffering=0) as full:
        for size in (room.f_bavail * room.f_frsize, 1):
            with suppress(OSError):
                os.posix_fallocate(full.fileno(), full.seek(0, os.SEEK_END), size)
    assert os.statvfs(file.parent).f_bavail == 0


@fault(Place.DATA, "Full: at the download", "Refuses before the first byte is asked for; goes on once there is room")
async def test_a_full_data_partition(small, mirror):
    """Refused before the first byte is asked for, and goes on once there is room."""
    filler = small.folder / "data" / "filler"
    filler.write_bytes(bytes(14 << 20))
    await refused(small, "disk-full", str(small.folder / "data" / "updates"))
    assert chain(small)[-1] == ("download", "failed")
    assert not [path for path in mirror.asked if path.startswith("/blobs/")]
    filler.unlink()
    await goes_on(small)


@fault(
    Place.DATA,
    "Full: at the check, to the last byte",
    "Keeps the metadata that it had; the journal has room of its own. Goes on once there is room",
)
async def test_not_a_byte_left(small):
    """The journal that exists has room of its own: what happens on a full disk is kept too."""
    small.configure("channel", '[repository]\nchannel = "none"\n')
    keep(small)
    await small.power_on()
    await rest(small)
    await small.cut()
    small.pass_hours()
    small.configure("channel", '[repository]\nchannel = "stable"\n')
    fill(small.folder / "data" / "filler")
    event = await refused(small, "data-unwritable", "trust", "No space left")
    assert event["state"] == "check"
    (small.folder / "data" / "filler").unlink()
    await goes_on(small)


@pytest.mark.parametrize(
    "checks",
    [
        pytest.param(
            True,
            id="verify",
            marks=fault(
                Place.DATA,
                "Full: from the verification on",
                "Verifies, installs, and cannot note what it installed: the slot is not armed. Tries again, later each time",
            ),
        ),
        pytest.param(
            False,
            id="install",
            marks=fault(
                Place.DATA,
                "Full: while it installs",
                "Cannot note what it installed: the slot is not armed. Tries again, later each time",
            ),
        ),
    ],
)
async def test_full_on_the_way(small, checks):
    kept, slow = keep(small), SlowInstall(small, checks=checks)
    await small.power_on()
    await slow.halfway()
    fill(small.folder / "data" / "filler")
    slow.go()
    await rest(small, len(journal(small)[1]))
    assert chain(small)[-1] == ("install", "failed")
    await harmless(small, kept, "data-full", "No space left")


@fault(Place.DATA, "Full: while a trial runs", "Commits: what that needs has room of its own")
async def test_full_before_the_commit(small):
    kept, filler = keep(small), small.folder / "data" / "filler"
    filling = f"dd if=/dev/zero of={filler} bs=4k; df {filler} | grep -q 100%"
    small.configure(
        "health", f'[[health.checks]]\ntype = "command"\nname = "fill"\noptions = {{ command = ["sh", "-c", "{filling}"] }}\n'
    )
    await small.power_on()
    assert await small.settled(PATIENCE) is B
    assert chain(small)[-1] == ("commit", "done")
    assert filler.stat().st_size > 1 << 20
    assert keep(small) == kept
    await calm(small)


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
