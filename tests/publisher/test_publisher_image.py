"""ext4 images from a directory: the same every time, sound, and knowing what they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from otad.errors import OtadError, Rejected
from otad.publisher.delta import ext4
from otad.publisher.image import IDENTITY, SMALL, Identity, Make, from_directory, identity, source_date_epoch

WHAT = Identity(product="camera", version="1.1.0")
MAKE = Make(size=4 << 20, epoch=1_700_000_000)

pytestmark = pytest.mark.skipif(
    not (shutil.which("mkfs.ext4") and shutil.which("debugfs")), reason="needs mkfs.ext4 and debugfs (e2fsprogs)"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "usr" / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "usr" / "bin" / "tool").chmod(0o755)
    (root / "etc" / "os release").write_text("a name with a space\n")
    (root / "link").symlink_to("usr/bin/tool")
    for path in (root, *root.rglob("*")):
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    return root


def debugfs(file: Path, request: str) -> str:
    return subprocess.run(["debugfs", "-R", request, file], capture_output=True, text=True, check=True).stdout


def test_it_says_what_it_is(tree: Path, tmp_path: Path) -> None:
    from_directory(tree, tmp_path / "x.img", WHAT, MAKE)
    assert identity(tmp_path / "x.img") == WHAT
    assert "Mode:  0644" in debugfs(tmp_path / "x.img", f"stat {IDENTITY}")


def test_it_is_sound_and_holds_the_tree(tree: Path, tmp_path: Path) -> None:
    from_directory(tree, tmp_path / "x.img", WHAT, MAKE)
    subprocess.run(["e2fsck", "-fn", tmp_path / "x.img"], check=True, capture_output=True)
    assert (tmp_path / "x.img").stat().st_size == MAKE.size
    assert debugfs(tmp_path / "x.img", "cat /usr/bin/tool") == "#!/bin/sh\n"
    assert debugfs(tmp_path / "x.img", 'cat "/etc/os release"') == "a name with a space\n"


@pytest.mark.parametrize(("size", "block"), [(SMALL, 4096), (SMALL // 2, 1024)])
def test_its_blocks_are_those_that_deltas_want_where_there_is_room(tree: Path, tmp_path: Path, size: int, block: int) -> None:
    from_directory(tree, tmp_path / "x.img", WHAT, replace(MAKE, size=size))
    assert f"Block size:               {block}\n" in debugfs(tmp_path / "x.img", "stats -h")


def test_a_file_is_not_divided_by_what_the_file_system_notes(tree: Path, tmp_path: Path) -> None:
    """A spare superblock, 128 MiB from the beginning and then on, would cut a compressed file in two: no PACK, no small delta."""
    (tree / "large").write_bytes(b"x" * (150 << 20))
    from_directory(tree, tmp_path / "x.img", WHAT, replace(MAKE, size=256 << 20))
    subprocess.run(["e2fsck", "-fn", tmp_path / "x.img"], check=True, capture_output=True)
    (large,) = (file for file in ext4.read((tmp_path / "x.img").read_bytes()).files if file.path == "/large")
    assert len(large.extents) == 1


def test_a_tree_that_says_already_what_it_was_gives_a_sound_image(tree: Path, tmp_path: Path) -> None:
    """In the field: the root file system of a device, copied and made into the next release."""
    old = tree / IDENTITY.lstrip("/")
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    from_directory(tree, tmp_path / "x.img", WHAT, MAKE)
    subprocess.run(["e2fsck", "-fn", tmp_path / "x.img"], check=True, capture_output=True)
    assert identity(tmp_path / "x.img") == WHAT


def test_the_same_tree_gives_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    from_directory(tree, tmp_path / "a.img", WHAT, MAKE)
    times = (tree / "etc" / "os release").stat().st_mtime
    os.utime(tree / "etc" / "os release", (1_650_000_000, times))  # read since; its change time moves too
    from_directory(tree, tmp_path / "b.img", WHAT, MAKE)
    assert (tmp_path / "a.img").read_bytes() == (tmp_path / "b.img").read_bytes()
    assert "mtime: 0x5f5e1000" in debugfs(tmp_path / "a.img", 'stat "/etc/os release"')


def test_another_version_is_another_image(tree: Path, tmp_path: Path) -> None:
    from_directory(tree, tmp_path / "a.img", WHAT, MAKE)
    from_directory(tree, tmp_path / "b.img", Identity(product="camera", version="1.2.0"), MAKE)
    assert (tmp_path / "a.img").read_bytes() != (tmp_path / "b.img").read_bytes()


def test_an_older_identity_is_replaced_in_the_image_and_kept_in_the_tree(tree: Path, tmp_path: Path) -> None:
    old = tree / IDENTITY.lstrip("/")
    old.parent.mkdir(parents=True)
    old.write_text('{"product":"camera","version":"0.9.0"}')
    from_directory(tree, tmp_path / "x.img", WHAT, MAKE)
    assert identity(tmp_path / "x.img") == WHAT
    assert "0.9.0" in old.read_text()


def test_a_tree_that_does_not_fit_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(os.urandom(6 << 20))
    with pytest.raises(OtadError, match=r"mkfs\.ext4 exited 1") as refused:
        from_directory(tree, tmp_path / "to" / "x.img", WHAT, MAKE)
    assert "--size" in refused.value.cause.remedy
    assert not list((tmp_path / "to").iterdir())


def test_other_files_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.img").write_bytes(bytes(100_000))
    assert identity(tmp_path / "x.img") is None


def test_a_damaged_identity_is_named(tree: Path, tmp_path: Path) -> None:
    from_directory(tree, tmp_path / "x.img", WHAT, MAKE)
    (tmp_path / "bad").write_text('{"product":"camera"}')
    script = f"rm {IDENTITY}\nwrite {tmp_path / 'bad'} {IDENTITY}\n"
    subprocess.run(["debugfs", "-w", "-f", "-", tmp_path / "x.img"], input=script, text=True, check=True, capture_output=True)
    with pytest.raises(Rejected, match=r"release\.json .* cannot be used"):
        identity(tmp_path / "x.img")


def test_time_comes_from_the_environment_never_from_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert source_date_epoch() == 1_577_836_800
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert source_date_epoch() == 1_700_000_000
