"""The slots, over plain files and, when root, over loop devices of our own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otad import config
from otad.blocking import Stopped
from otad.bootenv import BootStatus, Slot
from otad.errors import Corrupt, OtadError, Rejected, RetryLater
from otad.mounts import Mount, boot_argument, parse_mounts, root_path
from otad.payload import Installed
from otad.ports import Slots as SlotsPort
from otad.slots import PIECE, Slots

A, B = Slot.A, Slot.B
SIZE = 3 * 2**20 + 4096
STABLE = BootStatus(booted=A, selected=A, fallback=B)


class Board:
    """Two slots and the kernel's texts, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.a, self.b = folder / "slot-a", folder / "slot-b"
        for slot in (self.a, self.b):
            slot.write_bytes(os.urandom(SIZE))
        self.paths = config.Paths(cmdline=folder / "cmdline", mounts=folder / "mountinfo")
        self.paths.mounts.write_text("22 27 0:21 / /proc rw,relatime - proc proc rw\n")
        self.kernel(f"otad.slot=A root={self.a}")

    def kernel(self, cmdline: str) -> None:
        self.paths.cmdline.write_text(f"console=ttyS0 {cmdline} quiet\n")

    @property
    def slots(self) -> Slots:
        return Slots(config.Slots(a=self.a, b=self.b), self.paths)

    def refused(self, target: Slot, status: BootStatus = STABLE, need: int = 0) -> OtadError:
        with pytest.raises(OtadError) as caught:
            self.slots.guard(target, status, need)
        assert caught.value.cause.remedy
        return caught.value


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


class TestTexts:
    def test_an_argument_is_found_whole(self) -> None:
        assert boot_argument("xotad.slot=B otad.slot=A otad.slots=C", "otad.slot") == "A"

    def test_the_last_one_wins_and_quotes_hold_blanks(self) -> None:
        assert boot_argument('root=/dev/a x="a root=/dev/c" root="/dev/b d"', "root") == "/dev/b d"

    def test_an_absent_argument(self) -> None:
        assert boot_argument("quiet", "otad.slot") is None

    def test_mounts_with_optional_fields_and_escapes(self) -> None:
        text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root\\134x rw,errors=continue\n"
        assert parse_mounts(text) == [Mount("98:0", "/mnt 2", "/dev/root\\x")]

    def test_this_machine_has_a_root_and_a_proc(self) -> None:
        assert {"/", "/proc"} <= {mount.point for mount in parse_mounts(Path("/proc/self/mountinfo").read_text())}

    @pytest.mark.parametrize(
        ("argument", "path"),
        [
            ("/dev/mmcblk0p2", "/dev/mmcblk0p2"),
            ("PARTUUID=ABCD-02", "/dev/disk/by-partuuid/abcd-02"),
            ("LABEL=APP", "/dev/disk/by-label/APP"),
            ("PARTLABEL=APP_b", "/dev/disk/by-partlabel/APP_b"),
        ],
    )
    def test_roots_by_name(self, argument: str, path: str) -> None:
        assert root_path(argument) == Path(path)


class TestBooted:
    def test_both_agree(self, board: Board) -> None:
        assert board.slots.booted() is A
        board.kernel(f"root={board.b} otad.slot=B")
        assert board.slots.booted() is B

    @pytest.mark.parametrize(
        "cmdline", ["otad.slot=B root={a}", "otad.slot=A", "root={a}", "otad.slot=C root={a}", "otad.slot=A root=/x"]
    )
    def test_anything_else_is_unknown(self, board: Board, cmdline: str) -> None:
        board.kernel(cmdline.format(a=board.a))
        assert board.slots.booted() is None

    def test_no_command_line(self, board: Board) -> None:
        board.paths.cmdline.unlink()
        assert board.slots.booted() is None

    def test_a_link_to_the_slot_is_the_slot(self, board: Board, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(board.a)
        board.kernel(f"otad.slot=A root={tmp_path / 'link'}")
        assert board.slots.booted() is A


class TestGuard:
    def test_the_other_slot_may_be_written(self, board: Board) -> None:
        board.slots.guard(B, STABLE, SIZE)

    def test_missing(self, board: Board) -> None:
        board.b.unlink()
        error = board.refused(B)
        assert error.cause.code == "target-missing"
        assert f"slot B ({board.b})" in error.cause.what

    def test_a_folder_is_no_slot(self, board: Board) -> None:
        board.b.unlink()
        board.b.mkdir()
        assert board.refused(B).cause.code == "target-missing"

    def test_booted(self, board: Board) -> None:
        assert board.refused(A).cause.code == "target-booted"

    def test_the_root_device_although_otad_slot_lies(self, board: Board) -> None:
        board.kernel(f"otad.slot=A root={board.b}")
        assert board.refused(B, STABLE).cause.code == "target-booted"

    def test_two_names_of_the_booted_slot(self, board: Board) -> None:
        board.b.unlink()
        board.b.symlink_to(board.a)
        assert board.refused(B).cause.code == "target-booted"

    def test_an_unknown_booted_slot(self, board: Board) -> None:
        assert board.refused(B, BootStatus(booted=None, selected=A)).cause.code == "target-booted"

    def test_selected(self, board: Board) -> None:
        assert board.refused(B, BootStatus(booted=A, selected=B)).cause.code == "target-selected"

    def test_armed(self, board: Board) -> None:
        error = board.refused(B, BootStatus(booted=A, selected=B, trial=True))
        assert error.cause.code == "target-selected"
        assert "on trial" in error.cause.what

    def test_the_fallback_of_a_trial(self, board: Board) -> None:
        board.kernel(f"otad.slot=B root={board.b}")
        error = board.refused(A, BootStatus(booted=B, selected=B, trial=True, fallback=A))
        assert error.cause.code == "target-selected"

    def test_mounted_by_its_own_path(self, board: Board) -> None:
        board.paths.mounts.write_text(f"36 35 7:3 / /mnt/b rw - ext4 {board.b} rw\n")
        error = board.refused(B)
        assert error.cause.code == "target-mounted"
        assert "/mnt/b" in error.cause.what

    def test_mounted_through_a_link(self, board: Board, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(board.b)
        board.paths.mounts.write_text(f"36 35 7:3 / /mnt/b rw - ext4 {tmp_path / 'link'} rw\n")
        assert board.refused(B).cause.code == "target-mounted"

    def test_a_mount_of_something_else_is_no_matter(self, board: Board) -> None:
        board.paths.mounts.write_text(f"36 35 7:3 / /mnt/a rw - ext4 {board.a} rw\n")
        board.slots.guard(B, STABLE, 0)

    def test_mounts_that_cannot_be_read(self, board: Board) -> None:
        board.paths.mounts.unlink()
        assert board.refused(B).cause.code == "mounts-unreadable"

    def test_too_small(self, board: Board) -> None:
        error = board.refused(B, STABLE, SIZE + 1)
        assert isinstance(error, Rejected)
        assert error.cause.code == "target-too-small"
        assert (error.cause.evidence["size"], error.cause.evidence["need"]) == (str(SIZE), str(SIZE + 1))


class TestDigest:
    def test_of_a_part_and_of_the_whole(self, board: Board) -> None:
        content = board.b.read_bytes()
        for length in (1, 2**20, 2**20 + 1, SIZE):
            assert board.slots.digest(B, length) == hashlib.sha256(content[:length]).hexdigest()

    def test_progress_ends_with_all(self, board: Board) -> None:
        told: list[tuple[int, int]] = []
        board.slots.digest(B, SIZE, lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1] == (SIZE, SIZE)

    def test_a_slot_that_is_shorter(self, board: Board) -> None:
        with pytest.raises(Corrupt) as caught:
            board.slots.digest(B, SIZE + 1)
        assert caught.value.cause.code == "slot-short"

    def test_a_slot_that_is_gone(self, board: Board) -> None:
        board.b.unlink()
        for act in (lambda: board.slots.digest(B, 1), lambda: board.slots.sync(B)):
            with pytest.raises(RetryLater) as caught:
                act()
            assert caught.value.cause.code == "slot-unreadable"

    def test_it_stops_between_two_pieces(self, board: Board) -> None:
        stop, told = threading.Event(), list[int]()

        def read(done: int, _all: int) -> None:
            told.append(done)
            stop.set()

        with pytest.raises(Stopped):
            board.slots.digest(B, SIZE, read, stop)
        assert told == [PIECE]

    async def test_holds_does_not_outlive_who_asked(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        began, ended = threading.Event(), list[bool]()

        def digest(_slots: Slots, _slot: Slot, _length: int, *, stop: threading.Event) -> str:
            began.set()
            ended.append(stop.wait(10))
            raise Stopped

        monkeypatch.setattr(Slots, "digest", digest)
        asking = asyncio.ensure_future(board.slots.holds(B, Installed("0" * 64, "0" * 64, SIZE)))
        await asyncio.to_thread(began.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert ended == [True]

    async def test_holds(self, board: Board) -> None:
        good = Installed("0" * 64, hashlib.sha256(board.b.read_bytes()[:5000]).hexdigest(), 5000)
        board.slots.sync(B)
        assert await board.slots.holds(B, good)
        assert not await board.slots.holds(A, good)
        assert not await board.slots.holds(B, Installed("0" * 64, good.sha256, SIZE + 1))


Attach = Callable[[Path], Path]


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Loop devices over files, detached at the end."""
    if os.geteuid() != 0 or not shutil.which("losetup"):
        pytest.skip("needs root and losetup for loop devices")
    made: list[str] = []

    def one(file: Path) -> Path:
        done = subprocess.run(["losetup", "-f", "--show", file], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no loop device here: {done.stderr.strip()}")
        made.append(done.stdout.strip())
        return Path(made[-1])

    yield one
    for device in made:
        subprocess.run(["losetup", "-d", device], check=True)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """File systems made and mounted in a private place, unmounted at the end."""
    points: list[Path] = []

    def one(device: Path) -> Path:
        subprocess.run(["mkfs.ext4", "-q", device], check=True)
        point = tmp_path / f"mnt{len(points)}"
        point.mkdir()
        subprocess.run(["mount", device, point], check=True)
        points.append(point)
        return point

    yield one
    for point in points:
        subprocess.run(["umount", point], check=True)


class TestBlockDevices:
    @pytest.fixture
    def disks(self, board: Board, attach: Attach) -> Board:
        """The same board with its files behind loop devices, and the kernel's own mounts."""
        board.a, board.b = attach(board.a), attach(board.b)
        board.paths = board.paths.model_copy(update={"mounts": Path("/proc/self/mountinfo")})
        board.kernel(f"otad.slot=A root={board.a}")
        return board

    def test_a_free_one_may_be_written(self, disks: Board) -> None:
        assert disks.slots.booted() is A
        disks.slots.guard(B, STABLE, SIZE)

    def test_its_size_is_the_devices(self, disks: Board) -> None:
        assert disks.refused(B, STABLE, SIZE + 1).cause.code == "target-too-small"

    def test_mounted(self, disks: Board, mounted: Callable[[Path], Path]) -> None:
        point = mounted(disks.b)
        error = disks.refused(B)
        assert error.cause.code == "target-mounted"
        assert str(point) in error.cause.what

    def test_mounted_by_another_name(self, disks: Board, mounted: Callable[[Path], Path], tmp_path: Path) -> None:
        mounted(disks.b)
        os.mknod(tmp_path / "node", 0o600 | 0o060000, disks.b.stat().st_rdev)
        disks.b = tmp_path / "node"
        assert disks.refused(B).cause.code == "target-mounted"

    def test_held_by_something_that_is_no_mount(self, disks: Board) -> None:
        holder = os.open(disks.b, os.O_RDONLY | os.O_EXCL)
        try:
            assert disks.refused(B).cause.code == "target-in-use"
        finally:
            os.close(holder)

    def test_the_root_file_system_tells_the_slot(self, disks: Board, mounted: Callable[[Path], Path]) -> None:
        root = mounted(disks.b)
        here = Slots(config.Slots(a=disks.a, b=disks.b), disks.paths, root)
        assert here.booted() is None, "otad.slot says A, the root device says B"
        disks.kernel("otad.slot=B root=/dev/does-not-matter")
        assert here.booted() is B

    def test_the_mounted_root_is_refused_although_all_else_lies(self, disks: Board, mounted: Callable[[Path], Path]) -> None:
        root = mounted(disks.b)
        here = Slots(config.Slots(a=disks.a, b=disks.b), disks.paths, root)
        with pytest.raises(RetryLater) as caught:
            here.guard(B, STABLE, 0)
        assert caught.value.cause.code == "target-booted"

    def test_the_digest_is_of_the_device(self, disks: Board) -> None:
        with disks.b.open("r+b") as device:
            device.write(b"new")
        disks.slots.sync(B)
        assert disks.slots.digest(B, 3) == hashlib.sha256(b"new").hexdigest()

    def test_the_digest_is_of_the_medium_and_not_of_the_cache(self, disks: Board, tmp_path: Path) -> None:
        """What is read through the loop device is cached there; the file behind it then changes underneath, as a medium rots."""
        before = disks.slots.digest(B, SIZE)
        with disks.b.open("rb") as cached, (tmp_path / "slot-b").open("r+b") as medium:  # the last close would drop the cache
            cached.read()
            medium.write(bytes(4096))
            medium.flush()
            os.fsync(medium.fileno())
            assert disks.slots.digest(B, SIZE) != before

    def test_a_plain_slot_that_is_attached_to_a_loop_device(self, board: Board, attach: Attach) -> None:
        attach(board.b)
        assert board.refused(B).cause.code == "target-in-use"

    def test_a_plain_slot_that_is_mounted_through_a_loop_device(
        self, board: Board, attach: Attach, mounted: Callable[[Path], Path]
    ) -> None:
        mounted(attach(board.b))
        board.paths = board.paths.model_copy(update={"mounts": Path("/proc/self/mountinfo")})
        assert board.refused(B).cause.code == "target-mounted"


def test_slots_is_the_port() -> None:
    port: SlotsPort = Slots(config.Slots(), config.Paths())  # mypy holds the rest
    assert isinstance(port, Slots)
