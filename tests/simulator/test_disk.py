"""The disks of torture, mounted: what a cut leaves on each of them, and that a lossy one is stopped before one operation."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otad import durable
from simulator.torture.disk import Ext4, Lossy, Steady

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK) or not os.access("/dev/loop-control", os.W_OK),
    reason="needs root, /dev/fuse and a loop device",
)
ALL_LOST = 0.0


@needs_root
@pytest.mark.parametrize("kind", [Lossy, Ext4])
async def test_what_was_synced_is_there_after_a_cut_and_what_was_not_is_gone(tmp_path: Path, kind: type[Lossy | Ext4]) -> None:
    async with kind(tmp_path / "b") as disk:
        durable.write(disk.point / "kept", b"bytes")
        (disk.point / "lost").write_bytes(b"bytes")
        await disk.cut(ALL_LOST, 1)
        assert (disk.point / "kept").read_bytes() == b"bytes"
        assert not (disk.point / "lost").exists()
        (disk.point / "lost").write_bytes(b"bytes")
        await disk.settle()
        await disk.cut(ALL_LOST, 1)
        assert (disk.point / "lost").read_bytes() == b"bytes"


async def test_a_steady_disk_loses_nothing(tmp_path: Path) -> None:
    async with Steady(tmp_path / "b") as disk:
        (disk.point / "file").write_bytes(b"bytes")
        assert await disk.cut(ALL_LOST, 1) == []
        assert (disk.point / "file").read_bytes() == b"bytes"


@needs_root
async def test_the_power_goes_before_one_operation_of_a_lossy_disk(tmp_path: Path) -> None:
    async with Lossy(tmp_path / "b") as disk:
        durable.write(disk.point / "file", b"before")
        tripped = await disk.trip("write file", 3)
        descriptor = os.open(disk.point / "file", os.O_WRONLY)
        os.pwrite(descriptor, b"B", 0)
        os.fsync(descriptor)
        os.pwrite(descriptor, b"E", 1)
        with pytest.raises(OSError) as failed:  # noqa: PT011  # ENOTCONN or ECONNABORTED, as the kernel likes
            os.pwrite(descriptor, b"F", 2)
        assert failed.value.errno in {errno.ENOTCONN, errno.ECONNABORTED}
        assert await tripped == "write file"
        assert await disk.cut(ALL_LOST, 1) == ["file: 1 of 1 pages"]
        assert (disk.point / "file").read_bytes() == b"Before"
        os.close(descriptor)


@needs_root
async def test_a_lossy_disk_is_a_file_system_like_others(tmp_path: Path) -> None:
    async with Lossy(tmp_path / "b") as disk:
        folder = disk.point / "folder"
        folder.mkdir(mode=0o700)
        for number in range(300):
            (folder / f"a file with a name that is rather long {number}").touch()
        assert len(list(folder.iterdir())) == 300
        with pytest.raises(OSError, match="not empty"):
            folder.rmdir()
        file = disk.point / "file"
        file.write_bytes(bytes(3_000_000))
        os.truncate(file, 10)
        file.chmod(0o600)
        assert (file.stat().st_size, file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (10, 0o600, 0o700)
        with pytest.raises(OSError, match="Invalid cross-device link"):
            file.rename(folder / "file")
        durable.link(disk.point / "link", Path("folder"))
        assert (disk.point / "link").resolve() == folder
        with file.open("rb") as still:
            file.unlink()
            assert still.read() == bytes(10)
        with closing(sqlite3.connect(disk.point / "db")) as db:
            db.execute(
                "PRAGMA journal_mode=PERSIST"
            )  # in the mode DELETE, the deleted file may come back and undo the last commit
            db.execute("CREATE TABLE t (x)")
            db.execute("INSERT INTO t VALUES (1)")
            db.commit()
        await disk.cut(ALL_LOST, 1)
        with closing(sqlite3.connect(disk.point / "db")) as db:
            assert db.execute("SELECT x FROM t").fetchall() == [(1,)]
