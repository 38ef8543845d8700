"""The board's card: a GPT with the redundant environment before it begins, two slots, data, recovery; and what goes into a slot.

Rules:
 1. The environment lies where `recipes/u-boot/files/fw_env.config` says, and no partition covers it.
 2. The size is a power of two, as QEMU's SD card wants it, and almost all of the file is a hole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from simulator.qemu import parity
from simulator.qemu.tools import NotReady, need
from simulator.qemu.uboot import BOARD

MIB = 1 << 20
SIZE = 2048  # MiB
LAYOUT = {"boot": (8, 16), "a": (24, 512), "b": (536, 512), "data": (1048, 640), "recovery": (1688, 64)}
"""Partition: (first MiB, MiB), in order: /dev/mmcblk0p1 to p5."""
Files = Mapping[str, bytes | None]
"""{path: content}; None: taken away."""
CLOCK = "1577836800"  # what e2fsprogs takes for now: the image that is flashed is the one that is published, to the byte


def create(card: Path, slot_a: Path, data: Mapping[str, bytes], recovery: Path | None = None) -> None:
    """A card as it leaves the factory: the image `slot_a` in A, nothing in B, `data` as files of the data partition.

    recovery  image of the fifth partition; without one, nothing is in it
    Raises NotReady.
    """
    need({"sfdisk": "fdisk", "mkfs.ext4": "e2fsprogs", "mkenvimage": "u-boot-tools"})
    with card.open("wb") as file:
        file.truncate(SIZE * MIB)
    lines = [f"start={start}MiB, size={size}MiB, name={name}" for name, (start, size) in LAYOUT.items()]
    subprocess.run(["sfdisk", "-q", card], input="\n".join(["label: gpt", *lines]), text=True, check=True)
    _write(card, "a", slot_a)
    if recovery:
        _write(card, "recovery", recovery)
    files = card.with_suffix(".data")
    files.mkdir()
    for name, content in data.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    image = card.with_suffix(".ext4")
    command = ["mkfs.ext4", "-q", "-F", "-d", str(files), str(image), f"{LAYOUT['data'][1]}M"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    _write(card, "data", image)
    image.unlink()
    shutil.rmtree(files)
    _environment(card)


def personal(image: Path, root: Path, files: Files) -> Path:
    """The image `root` as `image`, with `files` put in."""
    subprocess.run(["cp", "--sparse=always", root, image], check=True)
    put(str(image), files)
    return image


def put(filesystem: str, files: Files) -> None:
    """Put files into an ext4 file system, as debugfs names it: IMAGE, or CARD?offset=BYTES. What begins with #! is a program.

    Raises NotReady.
    """
    need({"debugfs": "e2fsprogs"})
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    script = [f"mkdir {folder}" for folder in sorted(folders) if not _there(filesystem, folder)]
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, content) in enumerate(files.items()):
            script.append(f"rm {name}")
            if content is not None:
                part = Path(folder) / str(number)
                part.write_bytes(content)
                mode = "0100755" if content.startswith(b"#!") else "0100644"
                script += [f'write "{part}" {name}', *(f"sif {name} {field}" for field in (f"mode {mode}", "uid 0", "gid 0"))]
        command = ["debugfs", "-w", "-f", "-", filesystem]
        environment = {**os.environ, "E2FSPROGS_FAKE_TIME": CLOCK}
        subprocess.run(command, input="\n".join(script), text=True, capture_output=True, check=True, env=environment)
    for name, content in files.items():  # debugfs exits 0 whatever happens
        if read(filesystem, name) != (content or b""):
            raise NotReady(f"{name} could not be written into {filesystem}: is there room for it?")


def _there(filesystem: str, name: str) -> bool:
    """Debugfs must not be asked to make a folder that is there: it leaves an inode without a name behind."""
    return bool(subprocess.run(["debugfs", "-R", f"stat {name}", filesystem], capture_output=True, check=True).stdout)


def read(filesystem: str, name: str) -> bytes:
    """A file of an ext4 file system; empty when it is not there."""
    return subprocess.run(["debugfs", "-R", f"cat {name}", filesystem], capture_output=True, check=True).stdout


def _write(card: Path, partition: str, image: Path) -> None:
    command = ["dd", f"if={image}", f"of={card}", "bs=1M", f"seek={LAYOUT[partition][0]}", "conv=notrunc,sparse", "status=none"]
    subprocess.run(command, check=True)


def _environment(card: Path) -> None:
    text = b"".join(file.read_bytes() for file in BOARD.environment)
    command = ["mkenvimage", "-r", "-s", f"{parity.SIZE:#x}", "-o", "-", "-"]
    copy = subprocess.run(command, input=text, capture_output=True, check=True).stdout
    with card.open("r+b") as file:
        for offset in parity.COPIES:
            file.seek(offset)
            file.write(copy)
