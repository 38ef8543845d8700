"""The tiny systems of the fast board: an ext4 image says in a few files how it would behave, and is asked with debugfs.

Rules:
 1. What cannot be read from the image is not there: an empty, half written or rotten slot does not boot.
 2. They are made with otarepo's own `image`, so that their release.json is what a real one has.
"""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from otad.publisher import image

IDENTITY = image.IDENTITY
KERNEL = "/boot/Image"
HEALTH = "/etc/health"
GOOD = "good"  # what /etc/health says in a system whose health check passes
SIZE = 8 << 20  # bytes of an image


class Kernel(str, Enum):
    """What becomes of a boot."""

    BOOTS = "boots"
    PANICS = "panics"  # loads, then resets the board before otad could start: a panic, a hang under the watchdog
    MISSING = ""  # cannot be loaded


@dataclass(frozen=True)
class System:
    """How an image will behave. `noise`: bytes in it that no compression makes smaller, for a download that takes its time."""

    version: str
    product: str = "demo"
    kernel: Kernel = Kernel.BOOTS
    healthy: bool = True
    noise: int = 0

    def write(self, tree: Path) -> None:
        """The files of such a system, as a directory for `otarepo image`."""
        files = {KERNEL: self.kernel.value, HEALTH: GOOD if self.healthy else "its model gives nonsense"}
        for name, text in files.items():
            file = tree / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            if text:
                file.write_text(text)
        if self.noise:
            (tree / "noise").write_bytes(random.Random(self.version).randbytes(self.noise))

    def build(self, out: Path, tree: Path) -> Path:
        """Such a system as the ext4 image `out`, by way of the new directory `tree`."""
        self.write(tree)
        identity = image.Identity(product=self.product, version=self.version)
        image.from_directory(tree, out, identity, image.Make(SIZE, image.source_date_epoch()))
        return out


def kernel(slot: Path) -> Kernel:
    """What becomes of booting `slot`."""
    said = read(slot, KERNEL).decode(errors="replace")
    return next((known for known in Kernel if known.value == said), Kernel.MISSING)


def read(slot: Path, name: str) -> bytes:
    """A file of the ext4 image in `slot`; empty when it, or the file system, is not there."""
    return subprocess.run(["debugfs", "-R", f"cat {name}", slot], capture_output=True, check=False).stdout
