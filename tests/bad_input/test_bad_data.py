# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The data partition is full, read-only or not there, or the journal on it cannot be used."""

import os
from contextlib import suppress

import pytest

from otad.statemachine import State
from tests.support.board import (
    PATIENCE,
    REAL_PARTS,
    A,
    B,
    calm,
    chain,
    check_again,
    goes_on,
    harmless,
    journal,
    keep,
    nothing_lost,
    refused,
    rest,
    shown,
)
from tests.support.failures import Place, fault
from tests.support.mounts import inside, mounted
from tests.support.no_otad import cannot_live
from tests.support.slow import SlowInstall

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python


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


def fills_in_the_trial(board, words="", status=0):
    """A health check leaves not a byte on the data partition, and ends so; the file that it fills."""
    filler = board.folder / "data" / "filler"
    filling = f"dd if=/dev/zero of={filler} bs=4k; df {filler} | grep -q 100% && echo {words} && exit {status}"
    board.configure(
        "health", f'[[health.checks]]\ntype = "command"\nname = "fill"\noptions = {{ command = ["sh", "-c", "{filling}"] }}\n'
    )
    return filler


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
    kept, filler = keep(small), fills_in_the_trial(small)
    await small.power_on()
    assert await small.settled(PATIENCE) is B
    assert chain(small)[-1] == ("commit", "done")
    assert filler.stat().st_size > 1 << 20
    await calm(small, kept)


@fault(
    Place.DATA,
    "Full: while a trial runs that fails",
    "Reboots into the old slot and refuses the release, as with room; of the failed boot's log it keeps what stands in the event",
)
async def test_full_before_a_rollback(small):
    kept, filler = keep(small), fills_in_the_trial(small, "no camera", 3)
    await small.power_on()
    assert await small.settled(PATIENCE) is A
    assert small.boots == [A, B, A]
    assert os.statvfs(filler.parent).f_bavail == 0
    assert chain(small)[-1] == ("rollback", "done")
    event = await harmless(small, kept, "check-failed", "fill", "exited 3")
    assert "no camera" in event["cause"]["evidence"]["output"]
    assert "No space left" in event["evidence"]["archive"]
    await check_again(small)
    assert "install" not in [state for state, _ in chain(small)[chain(small).index(("rollback", "done")) :]]


@pytest.mark.parametrize("damage", [b"", os.urandom(5000), b"SQLite format 3\0" + bytes(8000)], ids=["empty", "noise", "torn"])
async def test_a_damaged_journal(bench, mirror, damage):
    """Set aside and said; the boot environment decides."""
    async with mirror.served() as repository, bench.board(repository) as board:
        kept = keep(board)
        path = board.folder / "data" / "otad" / "journal.db"
        path.write_bytes(damage)
        await board.power_on()
        assert await board.settled(PATIENCE) is not A
        assert chain(board)[-1] == ("commit", "done")
        first = journal(board)[1][0]
        if damage:  # an empty file is a new journal
            assert first["cause"]["code"] == "journal-set-aside"
            assert path.with_name("journal.db.damaged-1").read_bytes() == damage
        assert keep(board) == kept


@fault(Place.DATA, "Journal: damaged", "Sets it aside and begins a new one; the boot environment decides what runs")
async def test_a_damaged_journal_is_said(bench, mirror):
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        kept, path = keep(board), board.folder / "data" / "otad" / "journal.db"
        path.write_bytes(os.urandom(5000))
        await board.power_on()
        await rest(board)
        cause = journal(board)[1][0]["cause"]
        assert cause["code"] == "journal-set-aside"
        await shown(board, cause)
        nothing_lost(board, kept)


@fault(Place.DATA, "Journal: cannot be opened", "Changes nothing but that the boot is good, and ends; systemd starts it again")
async def test_a_journal_that_cannot_be_opened(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        path = board.folder / "data" / "otad" / "journal.db"
        path.mkdir()
        await cannot_live(board, 1, str(path))
        assert mirror.asked == []
        path.rmdir()
        await board.cut()
        await board.power_on()
        assert await board.settled(PATIENCE) is not A


@fault(
    Place.DATA,
    "Read-only, as after errors of the medium",
    "Changes nothing but that the boot is good, and ends; systemd starts it again",
)
async def test_a_data_partition_that_cannot_be_written(bench, mirror):
    """Mounted read-only, as after errors of the medium: nothing is changed but that this boot is good."""
    async with mirror.served() as repository, bench.board(repository, "none") as board:
        await board.power_on()
        await rest(board)
        await board.cut()
        before = journal(board)
        usual, data = board.otad, board.folder / "data"
        inside(board, f"mount --bind {data} {data}; mount -o remount,bind,ro {data}")
        board.pass_hours()
        asked = list(mirror.asked)
        await cannot_live(board, 1, "journal.db", "findmnt")
        assert mirror.asked == asked
        assert journal(board)[1] == before[1]
        board.otad = usual
        (board.folder / "conf.d" / "channel.toml").unlink()
        record, _ = journal(board)
        assert record is not None
        assert record.state is State.IDLE
        await goes_on(board)


@fault(
    Place.DATA,
    "Missing: not mounted",
    "Changes nothing but that the boot is good, writes nothing below the mount point, and ends; systemd starts it again",
)
async def test_no_data_partition(bench, mirror):
    async with mirror.served() as repository, bench.board(repository) as board:
        inside(board, f"mount -t tmpfs tmpfs {board.folder / 'data'}")
        await cannot_live(board, 1, "journal.db", "findmnt")
        assert mirror.asked == []
