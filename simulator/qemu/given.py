"""What a person brings along for the board: a root file system, a U-Boot. What cannot work is said before anything is started.

Sources: the kernel's Documentation/arm64/booting.rst (the header of an Image); recipes/u-boot/files/boards/qemu.env.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from simulator.qemu import card
from simulator.qemu.tools import NotReady, need

MAGIC = slice(56, 60)
"""Bytes of an arm64 Image that say what it is."""
LOADED = ("/boot/Image", "/boot/initrd")
UNITS = ("/usr/lib/systemd/system/otad.service", "/lib/systemd/system/otad.service", "/etc/systemd/system/otad.service")


def root(image: Path) -> Path:
    """`image`, if U-Boot can load its kernel and otad is in it. Raises NotReady with what is wrong."""
    need({"debugfs": "e2fsprogs"})
    if wrong := _wrong(image):
        raise NotReady(f"cannot boot {image}: {wrong}")
    return image


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
        if not _asked(image, f"stat {name}"):
            return f"{name} is not in it; U-Boot loads {' and '.join(LOADED)}"
    if _asked(image, "cat /boot/Image")[MAGIC] != b"ARM\x64":
        return "its /boot/Image is no arm64 kernel as booti takes it; put the uncompressed Image there"
    if not any(_asked(image, f"stat {name}") for name in UNITS):
        return "otad is not in it (no otad.service), so no boot would ever be proven; make install DESTDIR=... puts it in"
    return ""


def _asked(image: Path, words: str) -> bytes:
    """What debugfs says; nothing when there is nothing of that name."""
    return subprocess.run(["debugfs", "-R", words, image], capture_output=True, check=True).stdout
