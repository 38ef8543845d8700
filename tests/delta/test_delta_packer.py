"""Compressors that are programs, and go wrong: a fake `gzip` in front of the real one. Whatever it does, no process is left."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otad.delta.apply import apply
from otad.delta.codecs import compressor, missing, with_proof
from otad.delta.faults import Unpackable
from otad.delta.ops import Pack
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from tests.delta.making import Maker, blob, patch

NAME = "gzip -n -6"
CONTENT = os.urandom(1 << 18)
Fake = Callable[[str], Path]
REAL_POLL = select.poll


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a script in the place of gzip. Returns the file that its process ids get into."""

    def put(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "gzip").write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/pids\n{script}\n")
        (folder / "gzip").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return tmp_path / "pids"

    return put


class Hurried:
    """A poll that waits a thousandth of what it is asked for, and asks whether that is the minute that is promised."""

    def __init__(self) -> None:
        self._poll = REAL_POLL()
        self.register = self._poll.register

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        assert timeout == 60_000
        return self._poll.poll(timeout / 1000)


REAL_WAIT: Callable[..., int] = subprocess.Popen.wait


def wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
    """The same of a process's end."""
    assert timeout in (None, 60)
    return REAL_WAIT(process, timeout and timeout / 1000)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    monkeypatch.setattr(select, "poll", Hurried)


def gone(pids: Path) -> bool:
    """Some were started, and there is none any more, not even as a zombie."""
    started = pids.read_text().split()
    return bool(started) and not any(Path("/proc", pid).exists() for pid in started)


def given_up(pids: Path, why: str) -> None:
    with pytest.raises(Unpackable, match=why):
        with_proof(NAME)
    assert gone(pids)


FLOOD = "exec yes this is more than anybody asked for"


def test_a_flood_is_not_taken(fake: Fake) -> None:
    """A byte goes in, and no end comes out."""
    given_up(fake(FLOOD), "gzip makes more than it was given")
    assert str(missing(f"{NAME}#0123456789abcdef")).startswith("gzip makes more")


def test_a_flood_behind_the_content_is_not_taken(fake: Fake) -> None:
    given_up(fake(f"cat >/dev/null; {FLOOD}"), "gzip makes more than it was given")


@pytest.mark.parametrize("more", [0, 1])
def test_what_compression_may_add(fake: Fake, more: int) -> None:
    """An eighth, and 64 KiB."""
    room = len(CONTENT) + len(CONTENT) // 8 + (1 << 16)
    pids = fake(f"cat >/dev/null; head -c {room + more} /dev/zero")
    program = compressor(NAME).begin(len(CONTENT))
    try:
        came = program.write(CONTENT)
        if more:
            with pytest.raises(Unpackable, match="more than it was given"):
                list(program.finish())
        else:
            assert came + b"".join(program.finish()) == bytes(room)
    finally:
        program.close()
    assert gone(pids)


@pytest.mark.parametrize(
    "script",
    ["exec sleep 1000", "cat >/dev/null; exec sleep 1000", "cat >/dev/null; exec sleep 1000 >&-"],
    ids=["it takes nothing", "it gives nothing", "it says that this was all"],
)
@pytest.mark.usefixtures("hurried")
@pytest.mark.timeout(30)
def test_one_that_hangs_is_given_up(fake: Fake, script: str) -> None:
    given_up(fake(script), "gzip did nothing for 60 s")


@pytest.mark.timeout(30)
def test_one_that_ends_its_output_first_is_given_up(fake: Fake) -> None:
    """It is still there, and takes nothing more."""
    given_up(fake("exec sleep 1000 >&-"), "gzip ends before its input does")


@pytest.mark.parametrize(("script", "why"), [("exit 0", "gzip"), ("cat; exit 3", "ended with status 3"), ("kill -9 $$", "gzip")])
def test_one_that_fails_is_told(fake: Fake, script: str, why: str) -> None:
    given_up(fake(script), why)


def test_nothing_of_the_environment_reaches_it(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = fake("cat /proc/$$/environ; cat >/dev/null")
    for name in ("GZIP", "XZ_DEFAULTS", "XZ_OPT", "ZSTD_CLEVEL", "LD_PRELOAD", "LANG"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("GZIP", "--fast")
    program = compressor(NAME).begin(9)
    try:
        came = program.write(b"123456789") + b"".join(program.finish())
    finally:
        program.close()
    assert sorted(came.split(b"\0")[:-1]) == [b"LC_ALL=C", f"PATH={os.environ['PATH']}".encode()]
    assert gone(pids)


def test_a_proof_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_proof(NAME)
    monkeypatch.setenv("GZIP", "-1 --rsyncable")
    assert with_proof(NAME) == before


def applying(folder: Path, made: bytes) -> None:
    with blob(folder, made).open("rb") as file, Path("/dev/null").open("rb") as old, Spool(str(folder), 0) as spool:
        for _ in apply(Patch.opened(file), Image(old, 0), spool):
            pass


def test_a_patch_whose_compressor_floods_leaves_no_process(fake: Fake, tmp_path: Path) -> None:
    pids = fake(FLOOD)
    made = patch(b"", CONTENT, [Maker(b"").op(Pack(len(CONTENT), 0)).raw(CONTENT).segment()], pack_=[NAME])
    with pytest.raises(Unpackable, match="more than it was given"):
        applying(tmp_path, made)
    assert gone(pids)


def test_a_patch_that_is_left_in_the_middle_leaves_no_process(fake: Fake, tmp_path: Path) -> None:
    pids = fake("exec cat")
    made = patch(b"", CONTENT, [Maker(b"").op(Pack(len(CONTENT), 0)).raw(CONTENT).segment()], pack_=[NAME])
    with blob(tmp_path, made).open("rb") as file, Path("/dev/null").open("rb") as old, Spool(str(tmp_path), 0) as spool:
        pieces = apply(Patch.opened(file), Image(old, 0), spool)
        assert CONTENT.startswith(next(pieces))
        assert Path("/proc", pids.read_text().strip()).exists(), "there is something to leave"
        pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert gone(pids)
