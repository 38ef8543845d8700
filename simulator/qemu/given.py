"""What a person brings along for the board: a root file system, a kernel, a U-Boot. What cannot work is said before it starts.

Sources: the kernel's Documentation/arm64/booting.rst (the header of an Image); recipes/u-boot/files/boards/qemu.env.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath

from simulator.qemu import card
from simulator.qemu.rootfs import ENABLED, OVERLAY
from simulator.qemu.tools import NotReady, need

MAGIC, ARM64 = slice(56, 60), b"ARM\x64"
"""Bytes of an arm64 Image that say what it is."""
LINK, LINKS = re.compile(rb'Fast link dest: "(.*)"'), 8
IMAGE, INITRD = LOADED = ("/boot/Image", "/boot/initrd")
SHELL = "/etc/systemd/system/multi-user.target.wants/board-shell.service"
UNITS = ("/usr/lib/systemd/system/otad.service", "/lib/systemd/system/otad.service", "/etc/systemd/system/otad.service")


def root(image: Path) -> Path:
    """`image`, if U-Boot can load its kernel and otad is in it. Raises NotReady with what is wrong."""
    need({"debugfs": "e2fsprogs"})
    if wrong := _wrong(image):
        raise NotReady(f"cannot boot {image}: {wrong}")
    return image


def story_root(image: Path) -> Path:
    """`image`, if the stories can be told on it: they are told over a shell. Raises NotReady."""
    if not _asked(root(image), f"stat {SHELL}"):
        raise NotReady(
            f"cannot tell stories on {image}: its board-shell.service is not enabled; put the files of {OVERLAY} into it, "
            f"and enable {', '.join(ENABLED)}"
        )
    return image


def boot(kernel: Path | None, initrd: Path | None) -> dict[str, bytes]:
    """{path in the image: content} of a kernel and its initrd, as far as they are given. Raises NotReady."""
    found = {}
    for place, file in ((IMAGE, kernel), (INITRD, initrd)):
        if file and not file.is_file():
            raise NotReady(f"cannot boot {file}: there is no such file")
        if file:
            found[place] = file.read_bytes()
    if kernel and found[IMAGE][MAGIC] != ARM64:
        raise NotReady(f"cannot boot {kernel}: it is no arm64 kernel as booti takes it; give the uncompressed Image")
    return found


def uboot(program: Path) -> Path:
    """`program`, if it is there. Raises NotReady."""
    if not program.is_file():
        raise NotReady(f"cannot start {program}: there is no such file; give the u-boot.bin of QEMU's arm64 virt board")
    return program


def _wrong(image: Path) -> str:
    """In words; empty when nothing is."""
    largest = card.LAYOUT["a"][1]  # MiB
    if not image.is_file():
        return "there is no such file"
    if image.stat().st_size > largest << 20:
        return f"it has {image.stat().st_size >> 20} MiB, a slot has {largest}; shrink it (resize2fs)"
    if b"Filesystem magic number:" not in _asked(image, "show_super_stats -h"):
        return "it is no ext4 file system; give the image of one partition, not of a whole disk"
    for name in LOADED:
        if not _asked(image, f"stat {_meant(image, name)}"):
            return f"{name} is not in it; U-Boot loads {' and '.join(LOADED)}"
    if _asked(image, f"cat {_meant(image, IMAGE)}")[MAGIC] != ARM64:
        return f"its {IMAGE} is no arm64 kernel as booti takes it; put the uncompressed Image there"
    if not any(_asked(image, f"stat {name}") for name in UNITS):
        return "otad is not in it (no otad.service), so no boot would ever be proven; make install DESTDIR=... puts it in"
    return ""


def _meant(image: Path, name: str) -> str:
    """`name`, or what it is a symbolic link to: U-Boot follows those, debugfs does not."""
    for _ in range(LINKS):
        if not (link := LINK.search(_asked(image, f"stat {name}"))):
            break
        name = str(PurePosixPath(name).parent / link[1].decode())
    return name


def _asked(image: Path, words: str) -> bytes:
    """What debugfs says; nothing when there is nothing of that name."""
    return subprocess.run(["debugfs", "-R", words, image], capture_output=True, check=True).stdout
