"""What a delta is planned with: blocks that are the same, pairs of files, parts that are alike, blobs that can be made again."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from otad.delta import codecs
from otad.publisher.delta import blobs
from otad.publisher.delta.blocks import Run, runs
from otad.publisher.delta.covers import Cover, Engine, by_bsdiff, by_hdiffpatch, difference
from otad.publisher.delta.ext4 import File
from otad.publisher.delta.pairing import normalised, pairs
from otad.publisher.delta.stretch import Stretch
from tests.publisher.delta import trees

BLOCKS = st.lists(st.sampled_from([bytes(16), b"a" * 16, b"b" * 16, b"c" * 16]), max_size=12).map(b"".join)
CONTENT = b"".join(b"setting %d = %d\n" % (i, i * i) for i in range(20_000))


@given(BLOCKS, BLOCKS, st.binary(max_size=15))
@settings(deadline=None)
def test_runs_are_all_of_the_new_image_and_true(old: bytes, new: bytes, tail: bytes) -> None:
    new += tail
    at = 0
    for run in runs(old, new, 16):
        assert run.start == at
        at = run.end
        if run.zero:
            assert not any(new[run.start : at])
        elif run.old is not None:
            assert old[run.old : run.old + run.length] == new[run.start : at]
    assert at == len(new)


def test_a_run_is_as_long_as_it_can_be() -> None:
    old = b"abcd" * 4 + b"x" * 16 + b"abcd" * 4 + b"y" * 16
    assert list(runs(old, old[32:64] + bytes(32) + b"new!" * 4, 16)) == [
        Run(0, 16, 0),
        Run(16, 16, 48),
        Run(32, 32, zero=True),
        Run(64, 16),
    ]
    assert list(runs(old, old[16:64], 16)) == [Run(0, 48, 16)]


def file(path: str, size: int = 1) -> File:
    return File(path, size, ())


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("/boot/vmlinuz-6.1.0-38-arm64", "/boot/vmlinuz-6.1.0-37-arm64"),
        ("/usr/lib/libssl.so.3", "/usr/lib/libssl.so.3"),
        ("/usr/lib/libicu.so.74.1", "/usr/lib/libicu.so.72.1"),
        ("/opt/camera/bin/camera", "/usr/bin/camera"),
        ("/lib/modules/6.1.0-38/wifi.ko.xz", "/lib/modules/6.1.0-37/wifi.ko"),
        ("/usr/bin/new", None),
    ],
)
def test_which_old_file_a_new_one_comes_from(new: str, old: str | None) -> None:
    known = [
        file(path)
        for path in (
            "/boot/vmlinuz-6.1.0-37-arm64",
            "/lib/modules/6.1.0-37/wifi.ko",
            "/usr/bin/camera",
            "/usr/lib/libicu.so.72.1",
            "/usr/lib/libssl.so.3",
        )
    ]
    found = pairs(known, [file(new)])
    assert (found[new].path if new in found else None) == old


def test_of_several_the_nearest_in_size_is_the_pair() -> None:
    known = [file("/a/1/x", 10), file("/a/2/x", 100), file("/a/3/x", 1000)]
    assert pairs(known, [file("/a/4/x", 120)])["/a/4/x"].path == "/a/2/x"


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(0, 9))
def test_the_nearest_is_found_without_looking_at_all(sizes: list[int], size: int) -> None:
    known = [file(f"/{at}/x", one) for at, one in enumerate(sizes)]
    wanted = min(known, key=lambda one: (abs(one.size - size), one.path), default=None)
    assert pairs(known, [file("/a/x", size)]).get("/a/x") == wanted


def test_a_directory_is_no_pair_of_a_file() -> None:
    assert pairs([File("/x", 1, (), directory=True)], [file("/y/x")]) == {}


def test_versions_and_compressors_are_no_part_of_a_name() -> None:
    assert normalised("/lib/modules/6.1.0-37-arm64/a.ko.xz") == normalised("/lib/modules/6.12.1-1-arm64/a.ko")


@pytest.mark.parametrize("engine", [by_bsdiff, by_hdiffpatch])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (trees.noise(1, 60_000), trees.edited(trees.noise(1, 60_000), 2, 60)),
        (trees.noise(1, 40_000), trees.noise(1, 40_000)[20_000:] + b"between" + trees.noise(1, 40_000)[:20_000]),
        (b"", b"new"),
        (b"old" * 100, b""),
        (trees.noise(1, 1000), trees.noise(2, 1000)),
    ],
)
def test_engines_find_what_is_alike(engine: Engine, old: bytes, new: bytes) -> None:
    covers = list(engine(old, new))
    assert all(before.new + before.length <= cover.new for before, cover in pairwise(covers))
    assert all(cover.old >= 0 and cover.old + cover.length <= len(old) for cover in covers)
    sums = difference(old, new, covers)
    assert len(sums) == sum(cover.length for cover in covers)
    at = 0
    for cover in covers:
        pairs_ = zip(old[cover.old : cover.old + cover.length], sums[at : at + cover.length], strict=True)
        assert bytes(one + other & 0xFF for one, other in pairs_) == new[cover.new : cover.new + cover.length]
        at += cover.length
    if len(new) > 2000:
        assert sum(cover.length for cover in covers) > len(new) * 0.9


def test_a_difference_of_nothing_is_nothing() -> None:
    assert difference(b"old", b"new", []) == b""
    assert difference(b"abc", b"abd", [Cover(0, 0, 3)]) == b"\0\0\1"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((f"gzip -n -{level}", f"gzip -n -{level}") for level in (1, 4, 6, 9)),
        ("xz -T1 --check=crc32 --lzma2=dict=1MiB", "xz --check=crc32 --lzma2=preset=6,dict=1024KiB"),
        pytest.param("xz -T1 -0e", "xz --check=crc64 --lzma2=preset=6e,dict=256KiB", marks=pytest.mark.slow),
        ("gzip -6 --name", "gzip -n -6"),
    ],
)
def test_the_compressor_of_a_blob_is_found(tmp_path: Path, command: str, name: str) -> None:
    packed = tmp_path / "packed"
    data = subprocess.run(command.split(), input=CONTENT, stdout=subprocess.PIPE, check=True).stdout
    packed.write_bytes(trees.cpio({"microcode": b"x" * 999}) + bytes(512) + data + b"behind it")
    blob = blobs.opened(Stretch.whole(packed), tmp_path / "content")
    assert blob is not None
    assert blob.content[:] == CONTENT
    assert packed.read_bytes()[blob.at : blob.at + blob.stored] == data
    found = blobs.packer(blob, Stretch.whole(packed), 1 << 25)
    assert found == name


def test_a_compressor_that_is_too_large_or_unknown_is_not_found(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    cases = (("xz -T1 -6", 1 << 25, "more than 32 MiB"), ("xz -T2 -6", 1 << 30, "more than one thread"))
    for command, most, why in cases:
        packed.write_bytes(subprocess.run(command.split(), input=CONTENT, stdout=subprocess.PIPE, check=True).stdout)
        blob = blobs.opened(Stretch.whole(packed), tmp_path / "content")
        assert blob is not None
        with pytest.raises(blobs.NotAgain, match=why):
            blobs.packer(blob, Stretch.whole(packed), most)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("gzip", trees.gzipped(CONTENT)),
        ("xz", trees.module(CONTENT)),
        ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)),
    ],
)
def test_every_compressor_that_is_tried_is_known_to_devices(tmp_path: Path, kind: str, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    names = list(blobs._candidates(kind, Stretch.whole(tmp_path / "file")))
    assert names
    for name in names:
        codecs.compressor(name)


@pytest.mark.parametrize(
    "data", [zstandard.compress(CONTENT), zstandard.ZstdCompressor(write_content_size=False).compress(CONTENT)]
)
def test_a_frame_that_nobody_can_name_is_not_tried(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert not list(blobs._candidates("zstd", Stretch.whole(tmp_path / "file")))


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b\x08", b"\x1f\x8b\x08" + bytes(100), b"\xfd7zXZ\0junk", b"070701" + b"zz" * 60, CONTENT]
)
def test_what_is_no_blob_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert blobs.opened(Stretch.whole(tmp_path / "file"), tmp_path / "content") is None
    assert not (tmp_path / "content").exists()


def test_a_blob_that_is_cut_off_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(trees.gzipped(CONTENT)[:-100])
    assert blobs.opened(Stretch.whole(tmp_path / "file"), tmp_path / "content") is None
    assert not (tmp_path / "content").exists()


OPENING = """
import resource, sys
from pathlib import Path
from otad.publisher.delta import blobs
from otad.publisher.delta.stretch import Stretch

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert blobs.opened(Stretch.whole(Path(sys.argv[1])), Path(sys.argv[1] + ".content")).content.length == int(sys.argv[2])
took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before << 10
assert took < 40 << 20, took
"""


@pytest.mark.parametrize("command", ["gzip -n", "xz -T1 --lzma2=preset=0,dict=1MiB", "zstd -q -1"])
def test_what_is_compressed_to_nearly_nothing_is_not_held_whole(tmp_path: Path, command: str) -> None:
    length = 200 << 20
    with (tmp_path / "packed").open("wb") as packed, (tmp_path / "zeros").open("w+b") as zeros:
        zeros.truncate(length)
        subprocess.run(command.split(), stdin=zeros, stdout=packed, check=True)
    subprocess.run([sys.executable, "-c", OPENING, tmp_path / "packed", str(length)], check=True, timeout=100)
