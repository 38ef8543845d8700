"""A redundant U-Boot environment in a plain file: the same bytes that U-Boot keeps on a card, for the real libubootenv.

Rules:
 1. What it holds comes from `recipes/u-boot/files/`, as U-Boot's built-in default does.
 2. A store is one `fw_setenv -s -`, as atomic as U-Boot's own saveenv: one copy written, the other kept.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from otad.bootenv.uboot import parse, script
from simulator.bootloader import DEFAULT, Env

RECIPES = Path(__file__).parents[1] / "recipes" / "u-boot" / "files"
SIZE = 0x4000  # bytes of one copy, as in recipes/u-boot/files/fw_env.config
FLAGS = 4  # offset in a copy of the counter that tells which is newer, behind its CRC-32 (U-Boot's include/env_internal.h)


class EnvFile:
    """`ubootenv.bin` and the `fw_env.config` that points at it, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "ubootenv.bin"
        self.config = folder / "fw_env.config"

    @classmethod
    def create(cls, folder: Path, data: Env = DEFAULT) -> EnvFile:
        """A new environment whose copies are both good; `data` in place of the defaults."""
        made = cls(folder)
        made.config.write_text("".join(f"{made.image} {copy * SIZE:#x} {SIZE:#x}\n" for copy in (0, 1)))
        made.lose()
        made.save(data)
        return made

    def lose(self) -> None:
        """Back to the built-in default, as U-Boot does with an environment that it cannot read."""
        text = "".join((RECIPES / name).read_text() for name in ("otad-data.env", "otad-scripts.env"))
        copy = subprocess.run(
            ["mkenvimage", "-r", "-s", f"{SIZE:#x}", "-o", "-", "-"], input=text.encode(), capture_output=True, check=True
        ).stdout
        self.image.write_bytes(copy * 2)

    def tear(self) -> None:
        """A power cut within the last store: its copy is damaged, the one before counts again."""
        both = bytearray(self.image.read_bytes())
        first, second = both[FLAGS], both[SIZE + FLAGS]
        newest = SIZE if (second - first) % 256 == 1 else 0
        both[newest + SIZE // 2] ^= 0xFF
        self.image.write_bytes(both)

    def variables(self) -> dict[str, str]:
        """All of it, scripts included."""
        return parse(subprocess.run(["fw_printenv", "-c", self.config], capture_output=True, text=True, check=True).stdout)

    def load(self) -> Env:
        """The data variables."""
        return Env.of(self.variables())

    def save(self, env: Env) -> None:
        """U-Boot's saveenv."""
        self.set(env._asdict())

    def set(self, change: Mapping[str, str]) -> None:
        """One store of some variables, whoever makes it."""
        subprocess.run(["fw_setenv", "-c", self.config, "-s", "-"], input=script(change), text=True, check=True)
