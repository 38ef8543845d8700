"""Installs by the real SWUpdate, confined: good ones, and every bad bundle that a device may meet."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from otad.blocking import Stopped
from otad.bootenv import Slot
from otad.config import Swupdate
from otad.encoding import Base, Source
from otad.errors import BootEnvironmentError, Cause, Corrupt, OtadError, Rejected, RetryLater
from otad.formats.encodings import Encoding
from otad.payload import messages, process
from otad.payload.swupdate import SwupdateHandler
from otad.slots import Slots as SlotStore
from tests.support.bundles import CONFINE, Signer, bundle, with_key, with_section
from tests.support.install_board import IMAGE, OLD, Board

pytestmark = pytest.mark.slow  # it is SWUpdate that is asked, and it answers every Python alike
PIECE = 4096
SOCKET = int(Path("/proc/sys/net/core/wmem_default").read_text())  # bytes that one holds (man 7 socket)
ARMS = with_section('bootenv = ({ name = "boot_partition"; value = "B"; });')


def settings(board: Board, **changes: object) -> Swupdate:
    return board.settings.model_copy(update=changes)


async def install(board: Board, bundle: bytes, *, zstd: bool = False) -> None:
    await board.handler.install(*board.offer(bundle, zstd=zstd), Slot.B, board.tell)


@pytest.mark.parametrize(("zstd", "target"), [(False, Slot.A), (True, Slot.B)])
async def test_a_good_bundle_is_written_to_the_target_and_nowhere_else(board: Board, *, zstd: bool, target: Slot) -> None:
    payload, source = board.offer(bundle(board.signer, IMAGE), zstd=zstd)
    await board.handler.check(payload, source, target)
    assert board.read(target) == OLD  # looking changes nothing

    installed = await board.handler.install(payload, source, target, board.tell)

    assert board.read(target) == IMAGE + OLD[len(IMAGE) :]
    assert board.read(target.other) == OLD
    assert (installed.payload, installed.length) == (payload.sha256, len(IMAGE))
    assert installed.sha256 == hashlib.sha256(IMAGE).hexdigest()
    assert board.progress == sorted(board.progress)
    assert board.progress[-1] == (2 * len(IMAGE), 2 * len(IMAGE))
    assert not (board.paths.run / "swupdate").exists()


async def test_without_read_back_the_slot_is_not_read(board: Board) -> None:
    board.readback = False
    installed = await board.handler.install(*board.offer(bundle(board.signer, IMAGE)), Slot.B, board.tell)
    assert installed.sha256 == hashlib.sha256(IMAGE).hexdigest()
    assert {total for _, total in board.progress} == {len(IMAGE)}


async def test_a_swupdate_that_told_nothing_has_written_all_the_same(board: Board) -> None:
    board.readback = False
    board.settings = settings(board, command=("sh", "-c", "cat > /dev/null"))  # it never makes the socket
    await board.handler.install(*board.offer(bundle(board.signer, IMAGE)), Slot.B, board.tell)
    assert board.progress == [(len(IMAGE), len(IMAGE))]


async def test_an_image_compressed_in_the_bundle_is_known_by_what_was_read_back(board: Board) -> None:
    made = bundle(board.signer, gzip.compress(IMAGE), before=with_key('compressed = "zlib";'))
    installed = await board.handler.install(*board.offer(made), Slot.B, board.tell)
    assert board.read(Slot.B).startswith(IMAGE)
    assert installed.sha256 == hashlib.sha256(IMAGE).hexdigest()


# what `check` refuses, by SWUpdate's own judgement


async def test_a_changed_description_is_refused_before_anything_is_written(board: Board) -> None:
    made = bundle(board.signer, IMAGE, after=lambda text: text.replace("1.1.0", "1.1.1"))
    await refused(board, made, "bundle-signature")


async def test_another_signer_is_refused(board: Board, tmp_path: Path) -> None:
    await refused(board, bundle(Signer.make(tmp_path, "stranger"), IMAGE), "bundle-signature")


async def test_another_name_than_the_configured_one_is_refused(board: Board) -> None:
    board.settings = settings(board, signer="somebody else")
    await refused(board, bundle(board.signer, IMAGE), "bundle-signer")


@pytest.mark.parametrize(("begin", "end"), [(2020, 2021), (2200, 2300)])
async def test_a_certificate_of_another_time_is_refused_and_the_date_is_named(
    board: Board, tmp_path: Path, begin: int, end: int
) -> None:
    """SWUpdate does not say which it is; otarepo's own certificates are valid from 1970 to 9999."""
    other = Signer.make(tmp_path, "other", (datetime(begin, 1, 1, tzinfo=timezone.utc), datetime(end, 1, 1, tzinfo=timezone.utc)))
    board.settings = settings(board, ca=other.file)
    cause = await refused(board, bundle(other, IMAGE), "bundle-signature")
    assert "date" in cause.what


async def test_swupdate_cannot_hand_all_on_before_its_installer_is_awake(board: Board, tmp_path: Path) -> None:
    """It ends then, before it has judged (ipc_wait_for_complete): a good bundle was refused so in one of some thousand checks."""
    count = tmp_path / "count"
    board.settings = settings(board, command=("sh", "-c", f"wc -c > {count}"))
    await board.handler.check(*board.offer(bundle(board.signer, IMAGE)), Slot.B)
    assert int(count.read_text()) > 2 * SOCKET


async def test_a_missing_authority_is_the_images_fault_not_the_bundles(board: Board, tmp_path: Path) -> None:
    board.settings = settings(board, ca=tmp_path / "nothing.pem")
    await refused(board, bundle(board.signer, IMAGE), "swupdate-ca", RetryLater)


# what `check` refuses by itself


async def test_a_bundle_for_another_device_is_refused_before_swupdate_sees_it(board: Board) -> None:
    board.settings = settings(board, command=("/nonexistent/swupdate",))
    made = bundle(board.signer, IMAGE, before=lambda text: text.replace('"target"', f'"{board.folder}/slot-a"'))
    await refused(board, made, "bundle-foreign-device")


async def test_other_hardware_is_refused(board: Board) -> None:
    (board.folder / "hwrevision").write_text("jetson-nano 2.0\n")
    await refused(board, bundle(board.signer, IMAGE), "bundle-hardware")


@pytest.mark.parametrize("text", [None, "", "board", "a b c"])
async def test_a_device_that_does_not_know_its_hardware_says_so(board: Board, text: str | None) -> None:
    (board.folder / "hwrevision").unlink()
    if text is not None:
        (board.folder / "hwrevision").write_text(text)
    await refused(board, bundle(board.signer, IMAGE), "hwrevision-unreadable", RetryLater)


@pytest.mark.parametrize("hardware", ["raspberry:1.0", "jetson-nano:2.0"])
async def test_swupdate_itself_refuses_a_bundle_of_ours_for_other_hardware(board: Board, hardware: str) -> None:
    """Ours is the better message; SWUpdate's own refusal is what stands if somebody runs it by hand."""
    (board.folder / "bundle").write_bytes(bundle(board.signer, IMAGE))
    trust = ("-k", str(board.signer.file), "-e", "stable,B", "-H", hardware, "-i", "/dev/stdin")
    with process.room(board.paths.run, board.folder / "slot-b") as room, (board.folder / "bundle").open("rb") as stdin:
        ended = await process.run((str(CONFINE), "-v", *trust), stdin.fileno(), room, 60)
    assert messages.explain(ended.log, ended.status, "system").cause.code == "bundle-hardware"
    assert board.read(Slot.B) == OLD


async def test_what_is_no_bundle_is_refused(board: Board) -> None:
    await refused(board, b"x" * 5000, "bundle-malformed")


async def refused(board: Board, made: bytes, code: str, kind: type[OtadError] = Rejected) -> Cause:
    with pytest.raises(kind) as refusal:
        await board.handler.check(*board.offer(made), Slot.B)
    assert refusal.value.cause.code == code
    assert refusal.value.cause.remedy
    assert (board.read(Slot.A), board.read(Slot.B)) == (OLD, OLD)
    return refusal.value.cause


# what goes wrong while it is installed


async def test_a_changed_image_is_no_install(board: Board) -> None:
    with pytest.raises(Corrupt) as failed:
        await install(board, bundle(board.signer, IMAGE, promised=IMAGE + b"x"))
    assert failed.value.cause.code == "bundle-hash"
    assert board.read(Slot.A) == OLD


async def test_a_bundle_that_ends_early_is_no_install(board: Board) -> None:
    with pytest.raises(Corrupt):
        await install(board, bundle(board.signer, IMAGE)[: len(IMAGE) // 2])


async def test_a_blob_that_decodes_to_other_bytes_never_comes_to_its_end(board: Board) -> None:
    """What SWUpdate would take without complaint is stopped when it is not the payload of the release."""
    payload, _ = board.offer(bundle(board.signer, IMAGE))
    _, other = board.offer(bundle(board.signer, OLD[: len(IMAGE)]), zstd=True)
    with pytest.raises(Corrupt) as failed:
        await board.handler.install(payload, replace(other, sha256=payload.sha256), Slot.B, board.tell)
    assert failed.value.cause.code == "payload-differs"


async def test_a_blob_that_is_cut_off_is_no_install(board: Board) -> None:
    payload, source = board.offer(bundle(board.signer, IMAGE), zstd=True)
    source.blob.write_bytes(source.blob.read_bytes()[: len(IMAGE) // 2])
    with pytest.raises(Corrupt) as failed:
        await board.handler.install(payload, source, Slot.B, board.tell)
    assert failed.value.cause.code == "blob-undecodable"


@pytest.mark.parametrize("zstd", [False, True])
async def test_a_blob_that_is_gone_is_corrupt(board: Board, *, zstd: bool) -> None:
    payload, source = board.offer(bundle(board.signer, IMAGE), zstd=zstd)
    source.blob.unlink()
    with pytest.raises(Corrupt) as failed:
        await board.handler.check(payload, source, Slot.B)
    assert failed.value.cause.code == "blob-unreadable"


async def test_a_full_run_folder_is_told_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    make = process._make

    def full(made: process.Room, device: Path) -> None:
        make(made, device)
        (made.folder / "head.swu").symlink_to("/dev/full")

    monkeypatch.setattr(process, "_make", full)
    with pytest.raises(RetryLater) as failed:
        await board.handler.check(*board.offer(bundle(board.signer, IMAGE)), Slot.B)
    assert failed.value.cause.code == "run-folder"
    assert "No space left" in failed.value.cause.what


async def test_a_target_without_room_is_told_so(board: Board) -> None:
    board.device = Path("/dev/full")
    with pytest.raises(RetryLater) as failed:
        await install(board, bundle(board.signer, IMAGE))
    assert failed.value.cause.code == "target-full"


async def test_a_target_that_is_gone_is_told_so(board: Board) -> None:
    (board.folder / "slot-b").unlink()
    with pytest.raises(RetryLater) as failed:
        await install(board, bundle(board.signer, IMAGE))
    assert failed.value.cause.code == "target-unwritable"
    assert not (board.folder / "slot-b").exists()


async def test_a_slot_that_reads_back_differently_is_no_install(board: Board) -> None:
    class Worn(SlotStore):
        def sync(self, slot: Slot) -> None:
            with self.device(slot).open("r+b") as file:
                file.write(b"rot")
            super().sync(slot)

    worn = Worn(board.slot_settings, board.paths)
    handler = SwupdateHandler(board.settings, worn, board.paths.run, board.folder / "hwrevision")
    with pytest.raises(RetryLater) as failed:
        await handler.install(*board.offer(bundle(board.signer, IMAGE)), Slot.B, board.tell)
    assert failed.value.cause.code == "slot-differs"


# a bundle that arms


async def test_a_bundle_that_arms_is_seen_in_the_environment(board: Board) -> None:
    environment = fw_env(board)
    board.settings = settings(board, command=("env", f"OTAD_FW_ENV={environment}", str(CONFINE)))
    payload, source = board.offer(bundle(board.signer, IMAGE, before=ARMS))
    await board.handler.check(payload, source, Slot.B)
    assert variable(environment) == "boot_partition=A"

    await board.handler.install(payload, source, Slot.B, board.tell)

    assert variable(environment) == "boot_partition=B"


async def test_an_ordinary_bundle_stores_no_environment(board: Board) -> None:
    environment = fw_env(board)
    before = (board.folder / "env").read_bytes()
    board.settings = settings(board, command=("env", f"OTAD_FW_ENV={environment}", str(CONFINE)))
    await install(board, bundle(board.signer, IMAGE))
    assert (board.folder / "env").read_bytes() == before


async def test_a_bundle_that_arms_where_the_environment_is_broken_fails(board: Board) -> None:
    environment = fw_env(board)
    environment.write_text("garbage")
    board.settings = settings(board, command=("env", f"OTAD_FW_ENV={environment}", str(CONFINE)))
    with pytest.raises(BootEnvironmentError):
        await install(board, bundle(board.signer, IMAGE, before=ARMS))


def fw_env(board: Board) -> Path:
    """A redundant environment in a file, and the fw_env.config that names it."""
    missing = [tool for tool in ("mkenvimage", "fw_printenv") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs {', '.join(missing) or 'root, to lay a file over /etc/fw_env.config'}")
    one = subprocess.run(
        ["mkenvimage", "-r", "-s", "0x4000", "-o", "-", "-"], input=b"boot_partition=A\n", capture_output=True, check=True
    ).stdout
    env = board.folder / "env"
    env.write_bytes(one * 2)
    config = board.folder / "fw_env.config"
    config.write_text(f"{env} 0x0 0x4000\n{env} 0x4000 0x4000\n")
    return config


def variable(config: Path) -> str:
    command = ["fw_printenv", "-c", str(config), "boot_partition"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


# cut in the middle


class Halting:
    """Decodes nothing, and stops half way until it is let go."""

    type = "halting"
    proves = False

    def __init__(self) -> None:
        self.go = threading.Event()

    def refuses(self, encoding: Encoding, base: Base | None) -> str | None:
        return None

    def check(self, source: Source) -> Iterator[int]:
        return iter(())

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        data = source.blob.read_bytes()
        for at in range(0, len(data), PIECE):
            if at == len(data) // 2 // PIECE * PIECE:
                self.go.wait()
            yield data[at : at + PIECE]


async def halfway(board: Board) -> tuple[asyncio.Task[object], Halting]:
    """An install that has written something, and waits."""
    payload, source = board.offer(bundle(board.signer, IMAGE))
    decoder = Halting()
    install = board.handler.install(payload, replace(source, decoder=decoder), Slot.B, board.tell)
    task: asyncio.Task[object] = asyncio.create_task(install)
    while board.read(Slot.B) == OLD:  # noqa: ASYNC110  another process writes it, and says nothing
        await asyncio.sleep(0.01)
    return task, decoder


async def test_a_cancelled_install_leaves_no_swupdate_and_can_be_done_again(board: Board) -> None:
    task, decoder = await halfway(board)
    task.cancel()
    decoder.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert board.read(Slot.B) not in (OLD, IMAGE + OLD[len(IMAGE) :])  # it was in the middle
    assert board.read(Slot.A) == OLD

    await install(board, bundle(board.signer, IMAGE))
    assert board.read(Slot.B).startswith(IMAGE)


async def test_an_install_that_is_cancelled_does_not_read_the_rest_of_the_slot(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), list[bool]()

    def digest(_slots: SlotStore, _slot: Slot, _length: int, _progress: object, stop: threading.Event) -> str:
        began.set()
        ended.append(stop.wait(10))
        raise Stopped

    monkeypatch.setattr(SlotStore, "digest", digest)
    task = asyncio.create_task(install(board, bundle(board.signer, IMAGE)))
    await asyncio.to_thread(began.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_a_swupdate_that_is_killed_is_named_and_can_be_run_again(board: Board) -> None:
    pid = board.folder / "pid"
    board.settings = settings(board, command=("sh", "-c", f'echo $$ > {pid}; exec "$0" "$@"', str(CONFINE)))
    task, decoder = await halfway(board)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    decoder.go.set()
    with pytest.raises(RetryLater) as failed:
        await task
    assert failed.value.cause.code == "swupdate-killed"

    await install(board, bundle(board.signer, IMAGE))
    assert board.read(Slot.B).startswith(IMAGE)


async def test_two_installs_at_once_are_refused_and_the_first_goes_on(board: Board) -> None:
    task, decoder = await halfway(board)
    with pytest.raises(RetryLater) as failed:
        await install(board, bundle(board.signer, IMAGE))
    assert failed.value.cause.code == "install-running"
    decoder.go.set()
    await task
    assert board.read(Slot.B).startswith(IMAGE)
