"""The board's recovery partition: the same kernel, and an initial file system with the scripts of `recipes/recovery`."""

from __future__ import annotations

import shutil
from pathlib import Path

from simulator.qemu import debian, initrd, rootfs
from simulator.qemu.cache import Cache
from simulator.qemu.tools import need, run
from simulator.qemu.uboot import RECIPES

SCRIPTS = RECIPES.parents[1] / "recovery" / "files"
HERE = Path(__file__).parent
SIZE = 64 << 20
"""Bytes of the partition."""
ROOM = 200 << 20
DRIVERS = ("crc32c_generic", "sdhci-pci", "mmc_block", "virtio_pci", "virtio_net", "i6300esb", "af_packet")
LIBRARIES = ("ld-linux-aarch64.so.1", "libc.so.6", "libz.so.1", "libubootenv.so.0")
TOOLS = {**initrd.TOOLS, "mkfs.ext4": "e2fsprogs"}
PLACES = {
    "init": "init",
    **{f"lib/otad/{name}": name for name in ("recovery", "retry", "udhcpc", "why")},
    "etc/profile": "profile",
}


def made(cache: Cache) -> Path:
    """The image of the fifth partition. Raises NotReady."""
    files = [*_files().values(), HERE / "initrd.py", Path(__file__)]
    made_of = [*(path.read_bytes() for path in files), repr((rootfs.PACKAGES, debian.origins())).encode()]
    return cache.entry("board-recovery", made_of, lambda part: _make(cache, part), room=ROOM) / "recovery.img"


def _files() -> dict[str, Path]:
    """{path within: file}, of what is ours."""
    scripts = {place: SCRIPTS / name for place, name in PLACES.items()}
    return {**scripts, "etc/otad/recovery.conf": HERE / "recovery.conf", "etc/fw_env.config": RECIPES / "fw_env.config"}


def _make(cache: Cache, part: Path) -> None:
    need(TOOLS)
    tree, log, boot = rootfs.debian_tree(cache), part / "build.log", part / "tree" / "boot"
    boot.mkdir(parents=True)
    shutil.copy(initrd.kernel(tree), boot / "Image")
    tools = {f"bin/{name}": tree / "usr" / "bin" / name for name in ("fw_printenv", "fw_setenv")}
    libraries = {f"lib/{name}": _library(tree, name) for name in LIBRARIES}
    initrd.write(tree, DRIVERS, {**tools, **libraries, **_files()}, boot / "initrd", log)
    run(["mkfs.ext4", "-q", "-F", "-d", part / "tree", part / "recovery.img", f"{SIZE >> 20}M"], part, log)
    shutil.rmtree(part / "tree")


def _library(tree: Path, name: str) -> Path:
    return next(found for folder in ("lib", "usr/lib") if (found := tree / folder / "aarch64-linux-gnu" / name).exists())
