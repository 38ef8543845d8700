"""Payloads fed to real programs over real pipes."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from pathlib import Path

import pytest

import otad
from otad.encoding import Source
from otad.encoding.pump import TAIL, feed
from otad.errors import Corrupt, RetryLater
from tests.encoding.conftest import IMAGE, compress, put, source

READ_ALL = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
READ_SOME = "import sys; sys.stdin.buffer.read(1000)"
DIE = "import os, sys; sys.stdin.buffer.read(1000); os._exit(3)"


async def program(code: str, stdin: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=stdin, stdout=asyncio.subprocess.PIPE)


async def through(given: Source, code: str = READ_ALL) -> tuple[bytes, int | None]:
    """What the program wrote, and its exit status."""
    async with feed(given) as stdin:
        child = await program(code, stdin)
        said, _ = await child.communicate()
        seen.append(said)
    return said, child.returncode


seen: list[bytes] = []


def no_strays(before: set[int]) -> bool:
    return not working() and descriptors() == before


def working() -> list[str]:
    """Threads beside this one that are inside of otad: a thread of asyncio's pool stays, and has nothing to do."""
    package, found = str(Path(otad.__file__).parent), []
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, top in sys._current_frames().items():
        if ident != threading.get_ident() and any(f.f_code.co_filename.startswith(package) for f, _ in traceback.walk_stack(top)):
            found.append(names.get(ident, "?"))
    return found


def descriptors() -> set[int]:
    return {int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.exists()}


async def test_zstd_arrives(tmp_path: Path, compressed: bytes) -> None:
    assert await through(source(put(tmp_path, compressed), "zstd")) == (IMAGE, 0)


async def test_plain_arrives_as_the_file_itself(tmp_path: Path) -> None:
    blob = put(tmp_path, IMAGE)
    assert await through(source(blob, "plain")) == (IMAGE, 0)
    async with feed(source(blob, "plain")) as stdin:
        assert os.path.samestat(os.fstat(stdin), blob.stat())


@pytest.mark.parametrize("size", [1, TAIL - 1, TAIL, TAIL + 1, 300_000])
async def test_small_payloads(tmp_path: Path, size: int) -> None:
    data = IMAGE[:size]
    assert await through(source(put(tmp_path, compress(data)), "zstd", data)) == (data, 0)


@pytest.mark.parametrize(
    "decoded",
    [IMAGE[:-1] + b"?", IMAGE[:-1], IMAGE + b"!", IMAGE + bytes(2**20), b"?" + IMAGE[1:]],
    ids=["last byte", "short", "long", "padded", "first byte"],
)
async def test_a_program_never_sees_the_end_of_wrong_bytes(tmp_path: Path, decoded: bytes) -> None:
    seen.clear()
    with pytest.raises(Corrupt) as caught:
        await through(source(put(tmp_path, compress(decoded)), "zstd"))
    assert caught.value.cause.code == "payload-differs"
    assert len(seen[0]) <= len(decoded) - TAIL


async def test_a_damaged_frame_is_ours_to_report(tmp_path: Path, compressed: bytes) -> None:
    with pytest.raises(Corrupt) as caught:
        await through(source(put(tmp_path, compressed[:-100]), "zstd"))
    assert caught.value.cause.code == "blob-undecodable"


async def test_a_plain_blob_with_another_name_or_length(tmp_path: Path) -> None:
    for wrong in (IMAGE + b"!", b"?" + IMAGE[1:]):
        with pytest.raises(Corrupt):
            await through(source(put(tmp_path, wrong), "plain"))
    blob = put(tmp_path, IMAGE)
    os.truncate(blob, len(IMAGE) - 1)
    with pytest.raises(Corrupt):
        await through(source(blob, "plain"))


@pytest.mark.parametrize("kind", ["plain", "zstd"])
async def test_a_blob_that_is_gone_is_corrupt_and_named(tmp_path: Path, kind: str) -> None:
    before = descriptors()
    with pytest.raises(Corrupt) as caught:
        await through(source(tmp_path / "gone", kind))
    assert caught.value.cause.code == "blob-unreadable"
    assert f"{tmp_path}/gone" in caught.value.cause.what
    assert no_strays(before)


@pytest.mark.parametrize("kind", ["plain", "zstd"])
def test_a_blob_on_a_bad_medium_is_corrupt_and_the_error_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "blob").symlink_to("/proc/self/mem")  # opens, and gives EIO: nothing is mapped at address 0
    given = source(tmp_path / "blob", kind)
    with pytest.raises(Corrupt) as caught:
        list(given.stream())
    assert (caught.value.cause.code, caught.value.cause.evidence["errno"]) == ("blob-unreadable", "EIO")


@pytest.mark.parametrize(("code", "status"), [(READ_SOME, 0), (DIE, 3)])
async def test_a_program_that_ends_first_has_its_own_reasons(tmp_path: Path, compressed: bytes, code: str, status: int) -> None:
    assert await through(source(put(tmp_path, compressed), "zstd"), code) == (b"", status)


async def test_a_program_that_ends_first_does_not_make_wrong_bytes_right(tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        await through(source(put(tmp_path, compress(IMAGE[:-1] + b"?")), "zstd"), READ_SOME)


async def test_the_reason_is_the_wrong_bytes_not_what_the_program_makes_of_them(tmp_path: Path) -> None:
    async def failing() -> None:
        async with feed(source(put(tmp_path, compress(IMAGE[:-1])), "zstd")) as stdin:
            child = await program(READ_ALL, stdin)
            await child.communicate()
            raise RetryLater("program-failed", "it did not like its input")

    with pytest.raises(Corrupt):
        await failing()


async def test_with_right_bytes_the_programs_reason_stands(tmp_path: Path, compressed: bytes) -> None:
    before = descriptors()
    with pytest.raises(RetryLater) as caught:
        async with feed(source(put(tmp_path, compressed), "zstd")):
            raise RetryLater("program-failed", "it could not start")
    assert caught.value.cause.code == "program-failed"
    assert no_strays(before)


async def test_cancelled_it_leaves_no_thread_and_no_descriptor(tmp_path: Path, compressed: bytes) -> None:
    before = descriptors()
    fed = asyncio.Event()

    async def stuck() -> None:
        async with feed(source(put(tmp_path, compressed), "zstd")):
            fed.set()
            await asyncio.Event().wait()  # nobody reads: the pipe is full by now or soon

    task = asyncio.create_task(stuck())
    await fed.wait()
    assert working(), "there is a thread to leave"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert no_strays(before)


async def test_cancelled_over_wrong_bytes_it_is_still_cancelled(tmp_path: Path) -> None:
    given = source(put(tmp_path, compress(IMAGE[:1000])), "zstd")

    async def reading() -> None:
        async with feed(given) as stdin:
            child = await program(READ_ALL, stdin)
            await child.communicate()  # the thread has found out by the time the pipe is closed
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await reading()
