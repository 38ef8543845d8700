"""The ext4 reader, held against the trees that real images were made of, and against images that are damaged."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otad.publisher.delta import ext4
from otad.publisher.delta.ext4 import Extent, File, Unreadable
from tests.publisher.delta import trees

MAPPED = ("-b", "1024", "-O", "^extent,^64bit")


def content(image: bytes, file: File) -> bytes:
    data = bytearray(file.size + 65536)
    for extent in file.extents:
        data[extent.logical : extent.logical + extent.length] = image[extent.physical : extent.physical + extent.length]
    return bytes(data[: file.size])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    trees.write(tree, {"usr/bin/one": trees.noise(1, 700_001), **{f"many/file {i}": b"%d" % i * 100 for i in range(1500)}})
    (tree / "usr/bin/linked").hardlink_to(tree / "usr/bin/one")
    (tree / "usr/bin/short").symlink_to("one")
    (tree / "empty").touch()
    with (tree / "sparse").open("wb") as file:
        for at in range(0, 4_000_000, 40_000):
            file.seek(at)
            file.write(trees.noise(at, 5000))
    return tree


@pytest.mark.parametrize(
    "options",
    [
        ("-b", "1024"),
        ("-b", "4096"),
        ("-b", "2048", "-O", "^64bit,^metadata_csum"),
        ("-b", "4096", "-I", "128"),
        ("-b", "1024", "-O", "bigalloc", "-C", "16384"),
    ],
)
def test_every_file_is_found_where_it_lies(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = trees.ext4(tree, tmp_path / "image", "64M", *options).read_bytes()
    found = {file.path: content(image, file) for file in ext4.read(image).files if not file.directory}
    expected = {
        f"/{path.relative_to(tree)}": path.read_bytes() for path in tree.rglob("*") if path.is_file() and not path.is_symlink()
    }
    assert expected.pop("/empty") == b""
    linked = {path: expected.pop(path) for path in ("/usr/bin/one", "/usr/bin/linked")}
    assert [path for path in linked if path in found] == [path for path in linked if found.pop(path, None) == linked[path]] != []
    assert found == expected


def test_extents_are_those_that_debugfs_tells(tree: Path, tmp_path: Path) -> None:
    image = trees.ext4(tree, tmp_path / "image", "24M", "-b", "1024")
    said = subprocess.run(["debugfs", "-R", "blocks /sparse", str(image)], capture_output=True, text=True, check=True).stdout
    (sparse,) = (file for file in ext4.read(image.read_bytes()).files if file.path == "/sparse")
    assert not sparse.whole
    assert len(sparse.extents) >= 100  # more than four: they are in a tree
    blocks = [at // 1024 for one in sparse.extents for at in range(one.physical, one.physical + one.length, 1024)]
    tree_blocks = set(map(int, re.findall(r"\d+", said))) - set(blocks)
    assert set(map(int, said.split())) == {*blocks, *tree_blocks}
    assert len(tree_blocks) <= 3


def test_ext3_is_refused(tmp_path: Path) -> None:
    trees.write(tmp_path / "tree", {"file": b"x" * 5000})
    image = trees.ext4(tmp_path / "tree", tmp_path / "image", "8M", *MAPPED).read_bytes()
    with pytest.raises(Unreadable, match="ext2 or ext3"):
        ext4.read(image)


def test_inline_data_is_left_out(tmp_path: Path) -> None:
    trees.write(tmp_path / "tree", {"small": b"x" * 20, "large": trees.noise(1, 50_000)})
    image = trees.ext4(tmp_path / "tree", tmp_path / "image", "8M", "-O", "inline_data").read_bytes()
    assert "/small" not in {file.path for file in ext4.read(image).files}


def test_a_directory_in_its_inode_is_refused_for_all_below_it_would_be_missing(tmp_path: Path) -> None:
    trees.write(tmp_path / "tree", {"usr/bin/camera": trees.noise(1, 50_000)})
    image = trees.ext4(tmp_path / "tree", tmp_path / "image", "8M", "-O", "inline_data", "-I", "256")
    subprocess.run(["debugfs", "-w", "-R", "mkdir /etc", str(image)], check=True, capture_output=True)
    with pytest.raises(Unreadable, match="lies in its inode"):
        ext4.read(image.read_bytes())


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (1024 + 0x38, b"\0\0", "no ext4 superblock"),
        (1024 + 0x60, b"\xff\xff\xff\xff", "features of ext4 that are not read here"),
        (1024 + 0x18, b"\x20", "larger than 4096 bytes"),
        (1024 + 0x28, bytes(4), "contradicts itself"),
        (1024 + 0x4, b"\xff\xff\xff\x7f", "cut off"),
    ],
)
def test_an_image_that_is_no_ext4_is_refused(small: bytes, at: int, value: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        ext4.read(small[:at] + value + small[at + len(value) :])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("small")
    trees.write(folder / "tree", {f"a/{i}/file": b"x" * (5000 * i) for i in range(8)})
    return trees.ext4(folder / "tree", folder / "image", "4M", "-b", "1024", "-O", "^has_journal").read_bytes()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_image_is_read_or_refused(small: bytes, data: st.DataObject) -> None:
    """Wherever the damage is: in what the reader uses, most often."""
    metadata = 400 * 1024
    damaged = bytearray(small)
    for at in data.draw(st.lists(st.integers(0, metadata), max_size=6)):
        damaged[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    try:
        found = ext4.read(bytes(damaged)).files
    except Unreadable:
        return
    assert all(one.physical >= 0 and one.physical + one.length <= len(small) for file in found for one in file.extents)


def test_extents_of_neighbours_are_one() -> None:
    assert ext4._joined([Extent(0, 8192, 4096), Extent(4096, 12288, 4096), Extent(8192, 40960, 4096)]) == (
        Extent(0, 8192, 8192),
        Extent(8192, 40960, 4096),
    )
