"""/boot/initrd.img-VERSION, as initramfs-tools would make it and without running it: cpio, then gzip at its default level.

It is one compressed blob of which most bytes change with every kernel: what deltas are bad at. It holds what a device for one
board needs to find its root (MODULES=dep), some 14 MB, and not every driver that there is, as a distribution's has (32 MB here).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from simulator.qemu.tools import run

TOOLS = {"cpio": "cpio", "gzip": "gzip"}
EPOCH = 1577836800  # 2020-01-01
MODULES = (
    *("crypto", "fs/ext4", "fs/f2fs", "fs/fat", "fs/jbd2", "fs/nfs", "fs/nls", "fs/overlayfs", "fs/squashfs", "lib/*crc*"),
    *("drivers/block", "drivers/md", "drivers/mmc", "drivers/nvme", "drivers/phy"),
    *("drivers/net/ethernet/realtek", "drivers/net/ethernet/stmicro", "drivers/net/phy", "drivers/net/usb"),
    *("drivers/scsi/scsi_*", "drivers/scsi/sd_mod", "drivers/virtio"),
    *("drivers/usb/common", "drivers/usb/core", "drivers/usb/dwc3", "drivers/usb/host", "drivers/usb/phy", "drivers/usb/roles"),
    *("drivers/usb/storage", "drivers/usb/typec"),
)
PROGRAMS = ("usr/bin/busybox", "usr/bin/kmod", "usr/bin/udevadm", "usr/sbin/e2fsck", "usr/sbin/blkid")
LIBRARIES = "usr/lib/*/{}.so*"
NEEDED = ("libc", "libm", "libcrypto", "libudev", "libkmod", "libblkid", "libext2fs", "liblzma", "libzstd", "ld-linux-aarch64")


def make(tree: Path, modules: Path, log: Path) -> None:
    """Put it into `tree`, whose kernel's modules are in `modules`."""
    stage = tree.parent / "initrd"
    stage.mkdir()
    (stage / "lib").symlink_to("usr/lib")
    wanted = (modules.glob(f"kernel/{name}{below}.ko*") for name in MODULES for below in ("", "/**/*"))
    files = sorted({file for found in wanted for file in found})
    files += [tree / name for name in PROGRAMS if (tree / name).exists()]
    files += [file for name in NEEDED for file in sorted(tree.glob(LIBRARIES.format(name)))]
    for file in files:
        target = stage / file.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target, follow_symlinks=False)
    run(["depmod", "-b", stage, modules.name], stage, log)
    names = sorted(path.relative_to(stage) for path in stage.rglob("*"))
    for name in names:
        os.utime(stage / name, (EPOCH, EPOCH), follow_symlinks=False)
    with (tree / "boot" / f"initrd.img-{modules.name}").open("wb") as out:
        pack = "cpio -o -H newc --quiet --reproducible --owner=+0:+0 | gzip -n"
        subprocess.run(["sh", "-c", pack], input="\n".join(map(str, names)).encode(), cwd=stage, stdout=out, check=True)
    shutil.rmtree(stage)
