"""One process at a time, in a folder of its own, and nothing of it left when it is over."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
from pathlib import Path

import pytest

from otad.errors import RetryLater
from otad.payload import process


def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


async def shell(tmp_path: Path, script: str, seconds: float = 60) -> process.Ended:
    with process.room(tmp_path, tmp_path / "slot-b") as room:
        return await process.run(("sh", "-c", script), 0, room, seconds)


async def test_status_and_words_are_kept(tmp_path: Path) -> None:
    assert await shell(tmp_path, "echo one; echo two >&2; exit 3") == process.Ended(3, "one\ntwo\n")


async def test_it_finds_its_folder_its_target_and_its_temporary_files(tmp_path: Path) -> None:
    ended = await shell(tmp_path, "readlink target; pwd; echo $TMPDIR; echo $RUNTIME_DIRECTORY; stat -c %a $TMPDIR")
    here = tmp_path / "swupdate"
    assert ended.log.split() == [str(tmp_path / "slot-b"), str(here), str(here / "tmp"), str(here / "tmp"), "700"]
    assert not here.exists()


async def test_only_the_last_words_are_kept(tmp_path: Path) -> None:
    ended = await shell(tmp_path, "yes line | head -n 100000; echo end")
    assert len(ended.log) == process.LOG
    assert ended.log.endswith("line\nend\n")


async def test_what_a_killed_one_left_is_gone_when_the_next_begins(tmp_path: Path) -> None:
    (tmp_path / "swupdate" / "tmp").mkdir(parents=True)
    (tmp_path / "swupdate" / "tmp" / "sockinstctrl").touch()
    (tmp_path / "swupdate" / "target").symlink_to("/dev/null")
    assert (await shell(tmp_path, "ls $TMPDIR; readlink target")).log == f"{tmp_path}/slot-b\n"


async def test_a_child_that_holds_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    ended = await shell(tmp_path, "sleep 1000 & echo $!; exit 1")
    assert ended.status == 1
    assert gone(int(ended.log))


async def test_one_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    task = asyncio.create_task(shell(tmp_path, f"sleep 1000 & echo $! > {fifo(tmp_path)}; wait", seconds=2))
    child = int(await asyncio.to_thread((tmp_path / "fifo").read_text))
    with pytest.raises(RetryLater) as refused:
        await task
    assert refused.value.cause.code == "swupdate-timeout"
    assert gone(child)


async def test_nobody_follows_the_progress_any_more_when_it_has_ended(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    await shell(tmp_path, "true")
    assert asyncio.all_tasks() == before


async def test_a_missing_program_is_said_so(tmp_path: Path) -> None:
    with process.room(tmp_path, tmp_path / "slot-b") as room, pytest.raises(RetryLater) as refused:
        await process.run(("/nonexistent/swupdate",), 0, room, 60)
    assert refused.value.cause.code == "swupdate-missing"
    assert "/nonexistent/swupdate" in refused.value.cause.what


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with process.room(tmp_path, tmp_path / "slot-b"):
        with pytest.raises(RetryLater) as refused, process.room(tmp_path, tmp_path / "slot-b"):
            pass
        assert (tmp_path / "swupdate" / "tmp").is_dir()  # the first one's
    assert refused.value.cause.code == "install-running"


def test_one_that_outlived_its_daemon_still_holds_the_lock(tmp_path: Path) -> None:
    with process.room(tmp_path, tmp_path / "slot-b") as room:
        orphan = subprocess.Popen(["sleep", "1000"], pass_fds=(room.lock,))
    try:
        with pytest.raises(RetryLater), process.room(tmp_path, tmp_path / "slot-b"):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with process.room(tmp_path, tmp_path / "slot-b"):
        pass


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetryLater) as refused, process.room(tmp_path / ("x" * 100), tmp_path / "slot-b"):
        pass
    assert refused.value.cause.code == "run-path-too-long"


def test_a_working_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "swupdate").write_text("in the way")
    with pytest.raises(RetryLater) as refused, process.room(tmp_path, tmp_path / "slot-b"):
        pass
    assert refused.value.cause.code == "run-folder"


def test_a_run_folder_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(RetryLater) as refused, process.room(tmp_path / "run", tmp_path / "slot-b"):
        pass
    assert refused.value.cause.code == "run-folder"
    assert str(tmp_path / "run") in refused.value.cause.what


async def test_a_cancelled_one_is_gone_when_the_cancellation_arrives(tmp_path: Path) -> None:
    task = asyncio.create_task(shell(tmp_path, f"echo $$ > {fifo(tmp_path)}; sleep 1000"))
    pid = int(await asyncio.to_thread((tmp_path / "fifo").read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(pid)


def gone(pid: int) -> bool:
    """Whether a process has ended, or ends within 10 s: one that was killed a moment ago may still be closing its files."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(handle):
        return bool(select.select([handle], [], [], 10)[0])
