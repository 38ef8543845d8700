"""What a person brings along for the board in QEMU is looked at before anything is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from simulator.qemu import given, recovery
from simulator.qemu.cache import Cache
from simulator.qemu.shelf import Parts
from simulator.qemu.tools import NotReady

KERNEL = bytes(56) + b"ARM\x64" + bytes(4)
WHOLE = {"boot/Image": KERNEL, "boot/initrd": b"x", "usr/lib/systemd/system/otad.service": b"[Unit]\n"}


def made(folder: Path, files: dict[str, bytes]) -> Path:
    tree, image = folder / "tree", folder / "root.img"
    tree.mkdir(exist_ok=True)
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    subprocess.run(["mkfs.ext4", "-q", "-d", tree, image, "4M"], check=True, stdout=subprocess.DEVNULL)
    return image


def test_a_root_with_all_that_it_needs_is_taken(tmp_path: Path) -> None:
    image = made(tmp_path, WHOLE)
    assert given.root(image) == image


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"boot/Image": None}, "/boot/Image is not in it; U-Boot loads /boot/Image and /boot/initrd"),
        ({"boot/initrd": None}, "/boot/initrd is not in it"),
        ({"boot/Image": b"\x1f\x8b gzip"}, "its /boot/Image is no arm64 kernel as booti takes it; put the uncompressed Image"),
        ({"usr/lib/systemd/system/otad.service": None}, "otad is not in it .* make install DESTDIR="),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changed: dict[str, bytes | None], said: str) -> None:
    image = made(tmp_path, {name: content for name, content in {**WHOLE, **changed}.items() if content is not None})
    with pytest.raises(NotReady, match=f"root.img: {said}"):
        given.root(image)


def test_a_kernel_behind_links_is_found_as_u_boot_finds_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "boot").mkdir(parents=True)
    (tree / "boot" / "Image").symlink_to("Image-6.1")
    (tree / "boot" / "Image-6.1").symlink_to("/usr/lib/kernel")
    whole = {name: content for name, content in WHOLE.items() if name != "boot/Image"}
    image = made(tmp_path, {**whole, "usr/lib/kernel": KERNEL})
    assert given.root(image) == image
    (tree / "usr" / "lib" / "kernel").unlink()
    with pytest.raises(NotReady, match="/boot/Image is not in it"):
        given.root(made(tmp_path, whole))


def test_stories_need_a_shell(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"its board-shell\.service is not enabled; put the files of .*/overlay into it"):
        given.story_root(made(tmp_path, WHOLE))
    image = made(tmp_path, {**WHOLE, given.SHELL.lstrip("/"): b"[Unit]\n"})
    assert given.story_root(image) == image


def test_stories_are_told_on_ones_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, program = made(tmp_path, {**WHOLE, given.SHELL.lstrip("/"): b"[Unit]\n"}), tmp_path / "u-boot.bin"
    program.write_bytes(b"mine")
    monkeypatch.setenv("OTAD_BOARD_ROOT", str(image))
    monkeypatch.setenv("OTAD_BOARD_UBOOT", str(program))
    monkeypatch.setattr(recovery, "made", lambda _: program)
    parts = Parts.made(Cache(tmp_path / "cache"))
    assert (parts.root, parts.uboot) == (image, program)
    before = list(parts.names())
    program.write_bytes(b"mine, and newer")
    assert list(Parts.made(Cache(tmp_path / "cache")).names()) != before


def test_a_kernel_of_ones_own(tmp_path: Path) -> None:
    kernel, initrd = tmp_path / "Image", tmp_path / "initrd"
    kernel.write_bytes(KERNEL)
    initrd.write_bytes(b"cpio")
    assert given.boot(kernel, initrd) == {"/boot/Image": KERNEL, "/boot/initrd": b"cpio"}
    assert given.boot(None, None) == {}
    kernel.write_bytes(b"\x1f\x8b gzip")
    with pytest.raises(NotReady, match=r"Image: it is no arm64 kernel .* give the uncompressed Image"):
        given.boot(kernel, None)
    with pytest.raises(NotReady, match="none: there is no such file"):
        given.boot(None, tmp_path / "none")


def test_a_whole_disk_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(1 << 20))
    with pytest.raises(NotReady, match="it is no ext4 file system; give the image of one partition"):
        given.root(tmp_path / "disk.img")


def test_one_that_is_too_large_is_told_how_large_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "large.img").touch()
    os.truncate(tmp_path / "large.img", 600 << 20)
    with pytest.raises(NotReady, match="it has 600 MiB, a slot has 512"):
        given.root(tmp_path / "large.img")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="there is no such file"):
        given.root(tmp_path / "no.img")
    with pytest.raises(NotReady, match=r"there is no such file; give the u-boot\.bin"):
        given.uboot(tmp_path / "no.bin")
