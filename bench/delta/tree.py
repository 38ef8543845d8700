"""A release's files, from its packages.

Rules:
 1. Nothing is mounted and no foreign program runs: packages are unpacked, and what their scripts would do, and an image shows, is
    done by this machine's tools.
 2. What a device does not carry is left out: documentation, translations, other vendors' device trees.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.delta import initrd
from simulator.qemu.tools import run

TOOLS = {"dpkg-deb": "dpkg", "depmod": "kmod", **initrd.TOOLS}
MERGED = ("bin", "sbin", "lib")
UNWANTED = ("doc", "man", "locale", "info", "lintian", "bug", "help")
COMPRESSED = (".gz", ".xz", ".zst", ".bz2", ".tgz")
VENDOR = "nvidia"


def unpack(debs: Sequence[Path], tree: Path, log: Path) -> None:
    """The packages' files, and dpkg's list of them."""
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for deb in debs:
        run(
            ["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"', "unpack", deb, tree], tree, log
        )
    for name in UNWANTED:
        shutil.rmtree(tree / "usr" / "share" / name, ignore_errors=True)
    status = tree / "var" / "lib" / "dpkg" / "status"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("\n".join(_control(deb) for deb in debs))


def _control(deb: Path) -> str:
    return subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True).stdout


def kernel(tree: Path, wanted: tuple[str, ...], log: Path) -> None:
    """Keep the `wanted` modules (folders below kernel/; none: all); what depmod says of them, and the initrd."""
    (version,) = (path.name for path in (tree / "usr" / "lib" / "modules").iterdir())
    modules = tree / "usr" / "lib" / "modules" / version
    for module in [path for path in (modules / "kernel").rglob("*.ko*") if wanted]:
        if not str(module.relative_to(modules / "kernel")).startswith(wanted):
            module.unlink()
    run(["depmod", "-b", tree, version], tree, log)
    for vendor in (tree / "usr" / "lib" / f"linux-image-{version}").iterdir():
        if vendor.name != VENDOR:
            shutil.rmtree(vendor)
    initrd.make(tree, modules, log)


def without_compressed(tree: Path) -> None:
    """Remove what gzip and its like made."""
    for file in [path for path in tree.rglob("*") if path.suffix in COMPRESSED or path.name.startswith("initrd.img")]:
        file.unlink()


def settle(tree: Path, since: float, epoch: int) -> None:
    """Folders, and what was made `since`, bear one date; what came in a package bears its own."""
    for path in (*tree.rglob("*"), tree):
        if path.is_dir() or path.lstat().st_mtime >= since:
            os.utime(path, (epoch, epoch), follow_symlinks=False)
