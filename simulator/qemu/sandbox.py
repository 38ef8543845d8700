"""U-Boot as an ordinary program: a start takes a fraction of a second."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from simulator.qemu import parity
from simulator.qemu.cache import Cache
from simulator.qemu.tools import need, run
from simulator.qemu.uboot import SANDBOX

CARD = 8 << 20  # bytes; the environment's copies and a little more
RESET = "/bin/false"
"""On reset the sandbox starts itself again by the name that it was started with. With this name, it ends."""


@dataclass(frozen=True)
class Sandbox:
    """The program, and the device tree that tells it of its card."""

    program: Path
    tree: Path

    @classmethod
    def made(cls, cache: Cache, folder: Path) -> Sandbox:
        """Built when it is not there yet; `folder` is for small files. Raises NotReady."""
        need({"dtc": "device-tree-compiler", "mkenvimage": "u-boot-tools"})
        program, tree = SANDBOX.made(cache), folder / "sandbox.dtb"
        source = Path(__file__).with_name("sandbox.dts")
        run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", tree, source], folder, folder / "dtc.log")
        return cls(program, tree)

    def power_on(self, start: parity.Start, folder: Path) -> parity.Seen:
        """Start once, from a new card in `folder`. Raises AssertionError when it came to its prompt."""
        card = folder / "card.img"
        self.insert(card, start)
        return parity.seen(self.run(folder), card)

    def insert(self, card: Path, start: parity.Start) -> None:
        """Make `card` a new card with the environment of `start`."""
        card.write_bytes(bytes(CARD))
        parity.insert(card, start.variables(_board(start)))

    def run(self, folder: Path) -> str:
        """Start with the card that is in `folder`; what it said."""
        return subprocess.run(
            [RESET, "-d", self.tree],
            executable=self.program,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=parity.TIMEOUT,
            check=False,  # 0: powered off, 1: reset
        ).stdout


def _board(start: parity.Start) -> dict[str, str]:
    """The board's own two scripts. They say what they are asked to load in place of loading it."""
    boots = (
        f"if test $pn = {parity.PARTITIONS[slot]}; then echo boots {slot.value}; poweroff; fi" for slot in sorted(start.loads)
    )
    return {
        "otad_load": "; ".join(["echo loads $pn", *boots]),
        "otad_recovery": "echo boots recovery; poweroff" if start.recovery else "echo no recovery",
    }
