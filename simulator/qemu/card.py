"""The board's card: a GPT with the redundant environment before it begins, two slots, data, recovery; and what goes into a slot.

Rules:
 1. The environment lies where `recipes/u-boot/files/fw_env.config` says, and no partition covers it.
 2. The size is a power of two, as QEMU's SD card wants it, and almost all of the file is a hole.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from simulator.qemu import parity, rootfs
from simulator.qemu.uboot import BOARD

MIB = 1 << 20
SIZE = 2048  # MiB
LAYOUT = {"boot": (8, 16), "a": (24, 512), "b": (536, 512), "data": (1048, 640), "recovery": (1688, 64)}
"""Partition: (first MiB, MiB), in order: /dev/mmcblk0p1 to p5."""


def create(card: Path, slot_a: Path, data: Mapping[str, bytes], recovery: Path | None = None) -> None:
    """A card as it leaves the factory: the image `slot_a` in A, nothing in B, `data` as files of the data partition.

    recovery  image of the fifth partition; without one, nothing is in it
    """
    with card.open("wb") as file:
        file.truncate(SIZE * MIB)
    lines = [f"start={start}MiB, size={size}MiB, name={name}" for name, (start, size) in LAYOUT.items()]
    subprocess.run(["sfdisk", "-q", card], input="\n".join(["label: gpt", *lines]), text=True, check=True)
    _put(card, "a", slot_a)
    if recovery:
        _put(card, "recovery", recovery)
    files = card.with_suffix(".data")
    files.mkdir()
    for name, content in data.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(content)
    image = card.with_suffix(".ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", files, image, f"{LAYOUT['data'][1]}M"], check=True)
    _put(card, "data", image)
    image.unlink()
    _environment(card)


def personal(image: Path, root: Path, files: Mapping[str, bytes | None]) -> Path:
    """The image `root` as `image`, with some files replaced; None: taken away."""
    assert root.stat().st_size == rootfs.SIZE
    subprocess.run(["cp", "--sparse=always", root, image], check=True)
    script = []
    for number, (name, content) in enumerate(files.items()):
        script.append(f"rm {name}")
        if content is not None:
            part = image.with_suffix(f".{number}")
            part.write_bytes(content)
            script += [f'write "{part}" {name}', f"sif {name} mode 0100644", f"sif {name} uid 0", f"sif {name} gid 0"]
    subprocess.run(["debugfs", "-w", "-f", "-", image], input="\n".join(script), text=True, capture_output=True, check=True)
    for name, content in files.items():  # debugfs exits 0 whatever happens
        said = subprocess.run(["debugfs", "-R", f"cat {name}", image], capture_output=True, check=True).stdout
        assert said == (content or b""), f"debugfs could not write {name}"
    return image


def _put(card: Path, partition: str, image: Path) -> None:
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
