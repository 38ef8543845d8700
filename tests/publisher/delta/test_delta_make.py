"""Whole deltas of real ext4 images, decoded by the device's decoder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import zstandard

from otad.delta import index
from otad.delta.ops import Op
from otad.delta.patch import Patch
from otad.errors import Corrupt, OtadError, Rejected
from otad.publisher.delta import ext4, repacking, segment
from otad.publisher.delta import make as making
from otad.publisher.delta.covers import Cover
from otad.publisher.delta.ext4 import File
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload, make
from otad.publisher.delta.proof import proved
from otad.publisher.delta.stretch import Stretch
from tests.publisher.delta import trees


def made(old: Path, new: Path, folder: Path, *, repack: bool = True) -> tuple[Path, Ledger]:
    """A delta that was proved, and what it costs."""
    before, after = Payload.of(old), Payload.of(new)
    out, scratch = folder / "delta", folder / "scratch"
    scratch.mkdir(exist_ok=True)
    with out.open("wb") as file:
        ledger = make(before, after, file, scratch, repack=repack)
    header = proved(before, after, out, scratch)
    assert header.memory < 64 << 20
    assert repack or not header.needs
    return out, ledger


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    trees.write(folder / "old", trees.older())
    trees.write(folder / "new", trees.newer())
    return trees.ext4(folder / "old", folder / "old.img"), trees.ext4(folder / "new", folder / "new.img")


@pytest.mark.slow
def test_an_update_costs_what_changed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    delta, ledger = made(*pair, tmp_path)
    fresh = 2000 + 5000  # microcode, and one new program
    assert delta.stat().st_size < fresh + 20_000
    assert ledger.notes == ()
    ways = {(line.path, line.operation) for line in ledger.lines}
    assert {
        ("/usr/bin/camera", "delta"),
        ("/usr/share/same", "copy"),
        ("/usr/lib/modules/6.1.0-38/wifi.ko", "delta"),
        ("/usr/lib/modules/6.1.0-38/gpu.ko.xz", "pack"),
        ("/boot/initrd-6.1.0-38", "unpack"),
        ("/usr/bin/more", "raw"),
    } <= ways
    assert {line.operation for line in ledger.lines} <= {op.__name__.lower() for op in get_args(Op)}


@pytest.fixture
def initrds(tmp_path: Path) -> Callable[[bytes, bytes], tuple[Path, Path]]:
    """Two images, with these two as their initrd."""

    def images(*two: bytes) -> tuple[Path, Path]:
        old, new = (tmp_path / name for name in ("old", "new"))
        for folder, initrd in zip((old, new), two, strict=True):
            trees.write(folder, {"boot/initrd": initrd})
        options = ("4M",) if max(map(len, two)) < 1 << 20 else ("64M", "-b", "4096")
        return trees.ext4(old, tmp_path / "old.img", *options), trees.ext4(new, tmp_path / "new.img", *options)

    return images


INITRD = trees.noise(5, 300_000)


def test_an_old_file_that_no_device_opens_is_compared_as_it_is(
    tmp_path: Path, initrds: Callable[[bytes, bytes], tuple[Path, Path]]
) -> None:
    large = subprocess.run(["xz", "-9"], input=INITRD, stdout=subprocess.PIPE, check=True).stdout  # a dictionary of 64 MiB
    _, ledger = made(*initrds(large, trees.gzipped(trees.edited(INITRD, 2))), tmp_path)
    ways = {line.operation for line in ledger.lines}
    assert "pack" in ways
    assert "unpack" not in ways


EARLY = trees.cpio({"microcode": trees.noise(9, 3000)})


@pytest.mark.parametrize("front", [EARLY + bytes(16384 - len(EARLY)), bytes(8192)], ids=["behind a cpio", "at the front"])
def test_an_old_file_with_a_hole_is_compared_as_it_is(
    tmp_path: Path, initrds: Callable[[bytes, bytes], tuple[Path, Path]], front: bytes
) -> None:
    """mke2fs makes holes of zeros: what is behind one stands elsewhere than where its blocks are counted."""
    old, new = initrds(front + trees.gzipped(INITRD), EARLY + trees.gzipped(trees.edited(INITRD, 2)))
    _, ledger = made(old, new, tmp_path)
    assert "unpack" not in {line.operation for line in ledger.lines}


def nothing(_old: bytes, _new: bytes) -> Sequence[Cover]:
    """An engine that finds nothing, at once."""
    return ()


@pytest.mark.slow
def test_much_in_front_of_what_is_compressed_takes_no_more_memory(
    tmp_path: Path, initrds: Callable[[bytes, bytes], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer initramfs-tools put the modules there, as they are. It is proved to take what a device has."""
    monkeypatch.setattr("otad.publisher.delta.make.BEST", nothing)
    before, after = (trees.cpio({"modules": trees.noise(seed, 30 << 20)}) for seed in (1, 2))
    old, new = initrds(before + trees.gzipped(INITRD), after + trees.gzipped(trees.edited(INITRD, 2)))
    _, ledger = made(old, new, tmp_path)
    assert "unpack" in {line.operation for line in ledger.lines}


def test_a_compressed_file_in_several_pieces_is_named(tmp_path: Path) -> None:
    """Here what each group of blocks begins with divides it: where its blocks are is luck, what it costs is not."""
    for name, content in (("old", INITRD), ("new", trees.edited(INITRD, 2))):
        trees.write(tmp_path / name, {"boot/initrd": trees.gzipped(content)})
        trees.ext4(tmp_path / name, tmp_path / f"{name}.img", "4M", "-b", "1024", "-g", "256", "-O", "^resize_inode,^flex_bg")
    _, ledger = made(tmp_path / "old.img", tmp_path / "new.img", tmp_path)
    (note,) = ledger.notes
    assert note.startswith("/boot/initrd: it lies in ")
    assert "otarepo image" in note


def test_names_that_are_no_text_are_told_apart(tmp_path: Path) -> None:
    for name, change in (("old", 0), ("new", 5)):
        (tmp_path / name).mkdir()
        for seed, letter in enumerate((b"\xe8", b"\xe9")):
            data = trees.noise(seed, 60_000)
            file = os.fsencode(tmp_path / name) + b"/caf" + letter + b".gz"
            Path(os.fsdecode(file)).write_bytes(trees.gzipped(trees.edited(data, change + seed) if change else data))
        trees.ext4(tmp_path / name, tmp_path / f"{name}.img", "4M")
    delta, _ = made(tmp_path / "old.img", tmp_path / "new.img", tmp_path)
    assert delta.stat().st_size < 5000


def by_program(data: bytes, folder: Path, *options: str) -> bytes:
    """zstd(1) of a file, which has a length."""
    (folder / "content").write_bytes(data)
    return subprocess.run(["zstd", "-q", "-c", *options, str(folder / "content")], stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("options", [(), ("-9",), ("-12", "--single-thread"), None], ids=["-3", "-9", "single", "library"])
def test_a_zstd_file_is_rebuilt_from_the_difference_of_its_content(
    tmp_path: Path, initrds: Callable[[bytes, bytes], tuple[Path, Path]], options: tuple[str, ...] | None
) -> None:
    before = b"".join(b"%d %s\n" % (i, trees.noise(i % 99, 20).hex().encode()) for i in range(12_000))
    after = before[:200_000] + b"something else" + before[200_100:]
    library = zstandard.ZstdCompressor(level=6, write_checksum=True)
    old, new = (library.compress(one) if options is None else by_program(one, tmp_path, *options) for one in (before, after))
    delta, ledger = made(*initrds(old, new), tmp_path)
    assert ledger.notes == ()
    assert {"pack", "unpack"} <= {line.operation for line in ledger.lines}
    with delta.open("rb") as file:
        (name,) = Patch.opened(file).header.pack
    assert name.startswith("libzstd --single-thread -6#" if options is None else "zstd --single-thread -")
    assert delta.stat().st_size < len(new) // 10


@pytest.mark.slow
@pytest.mark.parametrize("files", [True, False], ids=["in a file", "in an image without files"])
def test_what_was_moved_is_found(tmp_path: Path, files: bool) -> None:
    """By more than what is around it; in a file that grew by as much, or anywhere in what has no files."""
    before, fresh = trees.noise(1, 5 << 20), trees.noise(2, (1 << 20) + 5)
    after = fresh + (before if files else before[: -len(fresh)])
    old, new = tmp_path / "old", tmp_path / "new"
    for image, content in ((old, before), (new, after)):
        if files:
            trees.write(tmp_path / f"{image.name}.tree", {"opt/model": content})
            trees.ext4(tmp_path / f"{image.name}.tree", image, "16M")
        else:
            image.write_bytes(content)
    delta, _ = made(old, new, tmp_path)
    assert delta.stat().st_size < len(fresh) + 30_000


@pytest.mark.slow
def test_the_lines_of_the_ledger_add_up(pair: tuple[Path, Path], tmp_path: Path) -> None:
    delta, ledger = made(*pair, tmp_path)
    assert 0.5 < sum(line.costs for line in ledger.lines) / delta.stat().st_size <= 1


@pytest.mark.slow
def test_compressed_files_may_be_compared_as_they_are(pair: tuple[Path, Path], tmp_path: Path) -> None:
    delta, ledger = made(*pair, tmp_path, repack=False)
    assert not {line.operation for line in ledger.lines} & {"pack", "unpack"}
    assert delta.stat().st_size > 60_000  # twice what it costs where they are taken apart
    assert ledger.notes == ()


def test_a_range_that_was_forgotten_is_found_by_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = making._ranges
    monkeypatch.setattr(making, "_ranges", lambda reads: whole(reads)[1:])
    (tmp_path / "old").write_bytes(trees.noise(1, 50_000))
    (tmp_path / "new").write_bytes(trees.edited(trees.noise(1, 50_000), 2))
    with pytest.raises(Corrupt, match="not within its ranges"):
        made(tmp_path / "old", tmp_path / "new", tmp_path)


def shuffled(folder: Path) -> tuple[Path, Path]:
    """Images of which the new one has all blocks of the old one, in another order."""
    blocks = [trees.noise(seed, ext4.LARGEST) for seed in range(40)]
    (folder / "old").write_bytes(b"".join(blocks))
    (folder / "new").write_bytes(b"".join(reversed(blocks)))
    return folder / "old", folder / "new"


def test_a_segment_ends_before_it_has_too_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "OPS", 15)
    delta, _ = made(*shuffled(tmp_path), tmp_path)
    with delta.open("rb") as file:
        assert [entry.ops for entry in Patch.opened(file).contents.segments] == [15, 15, 10]


@pytest.mark.parametrize(("limit", "most"), [("index.SEGMENTS", 2), ("format.INDEX", 99)])
def test_what_no_delta_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    monkeypatch.setattr(index, "OPS", 15)
    monkeypatch.setattr(f"otad.delta.{limit}", most)
    with pytest.raises(Rejected) as told:
        made(*shuffled(tmp_path), tmp_path)
    assert told.value.cause.code == "delta-too-large"


def test_an_old_file_in_more_pieces_than_an_unpack_names_is_compared_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repacking, "EXTENTS", 2)
    data = trees.gzipped(INITRD)
    (tmp_path / "image").write_bytes(data)
    image = Stretch.whole(tmp_path / "image")
    new = File("/initrd", len(data), (ext4.Extent(0, 0, len(data)),))
    opener = repacking.Opener(image, image, tmp_path, 1 << 24)
    for pieces, opens in ((2, True), (3, False)):
        bounds = [*(at * 1000 for at in range(pieces)), len(data)]
        older = File("/initrd", len(data), tuple(ext4.Extent(at, at, end - at) for at, end in pairwise(bounds)))
        opened = opener.opened(0, new, older)
        assert isinstance(opened, repacking.Opened)
        assert bool(opened.old) is opens


def test_what_waits_is_not_made_when_something_failed() -> None:
    waiting: list[Future[None]] = []

    def failing() -> None:
        with making._pool() as pool:
            waiting.extend(pool.submit(time.sleep, 0.2) for _ in range(50))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert isinstance(waiting[-1].exception(), BrokenProcessPool)


def crumbs(_old: bytes, new: bytes) -> Sequence[Cover]:
    """An engine that finds as many differences as there can be: a table of which each line grew by a byte."""
    return [Cover(at, at - at // 16, 15) for at in range(0, len(new) - 16, 16)]


@pytest.mark.slow
def test_a_segment_of_very_many_differences_is_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their controls take more of a device's memory than what they make."""
    table = trees.noise(1, 6 << 20)
    (tmp_path / "old").write_bytes(b"".join(table[at : at + 15] for at in range(0, len(table), 16)))
    (tmp_path / "new").write_bytes(table)
    monkeypatch.setattr("otad.publisher.delta.make.BEST", crumbs)
    delta, _ = made(tmp_path / "old", tmp_path / "new", tmp_path)
    with delta.open("rb") as file:
        entries = Patch.opened(file).contents.segments
    assert len(entries) > 1
    assert all(entry.memory < segment.MEMORY + (1 << 20) for entry in entries)


@pytest.mark.parametrize(
    ("command", "why"), [(("bzip2",), "do not take bzip2 apart"), (("gzip", "-N"), "tells a name or a time")]
)
def test_what_stays_compressed_is_named_with_the_reason(
    tmp_path: Path, initrds: Callable[[bytes, bytes], tuple[Path, Path]], command: tuple[str, ...], why: str
) -> None:
    def packed(data: bytes) -> bytes:
        (tmp_path / "content").write_bytes(data)
        return subprocess.run([*command, "-c", tmp_path / "content"], stdout=subprocess.PIPE, check=True).stdout

    _, ledger = made(*initrds(packed(INITRD), packed(trees.edited(INITRD, 2))), tmp_path)
    (note,) = ledger.notes
    assert why in note


def killed(_old: bytes, _new: bytes) -> Sequence[Cover]:
    """An engine for which the system has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def test_a_process_that_the_system_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(trees.noise(1, 50_000))
    new.write_bytes(trees.edited(trees.noise(1, 50_000), 2))
    monkeypatch.setattr("otad.publisher.delta.make.BEST", killed)
    with pytest.raises(OtadError) as told:
        made(old, new, tmp_path)
    assert told.value.cause.code == "delta-killed"


def test_its_processes_end_with_it(tmp_path: Path) -> None:
    """Killed, it cleans up nothing: they see by themselves that it is gone."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from otad.publisher.delta.make import _pool\n"
        "if __name__ == '__main__':\n"
        "    with _pool() as pool:\n"
        "        pool.submit(os.getpid).result()\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    # They hold its stdout too: this waits until nobody does.
    told = subprocess.run([sys.executable, program], stdout=subprocess.PIPE, timeout=60, check=False)
    assert told.returncode == -signal.SIGKILL
