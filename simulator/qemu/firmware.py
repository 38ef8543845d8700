"""The board's own U-Boot, started once: from a card whose partitions hold something that says which it is, and ends.

Rules:
 1. All is the board's: its boot counter, its environment on an SD card, its otad_load and otad_recovery, what reads ext4.
    Only the last step differs: in place of a kernel a script is loaded, and run.
 2. A reset ends QEMU, and so does a script; the card is read when QEMU has ended.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from otad.bootenv.uboot import parse
from simulator.qemu import parity
from simulator.qemu.board import HARDWARE
from simulator.qemu.cache import Cache
from simulator.qemu.tools import mortal, need
from simulator.qemu.uboot import BOARD, RECIPES

MIB = 1 << 20
SIZE = 16  # MiB; a power of two, as QEMU's SD card wants it
FIRST = 8  # MiB, where the partitions begin, one each
RECOVERY = "5"
BOOTI = "echo loads $pn; load mmc 0:$pn $kernel_addr_r /boot/Image && source $kernel_addr_r"


@dataclass(frozen=True)
class Firmware:
    """A u-boot.bin, and a folder in which cards are made."""

    uboot: Path
    folder: Path

    @classmethod
    def made(cls, cache: Cache, folder: Path) -> Firmware:
        """Built when it is not there yet. Raises NotReady."""
        need({"qemu-system-aarch64": "qemu-system-arm", "mkimage": "u-boot-tools", "sfdisk": "fdisk", "mkfs.ext4": "e2fsprogs"})
        return cls(BOARD.made(cache), folder)

    def power_on(self, start: parity.Start) -> parity.Seen:
        """Start once, from a new card. Raises AssertionError when it came to its prompt."""
        loads = {parity.PARTITIONS[slot]: slot.value for slot in start.loads} | ({RECOVERY: "recovery"} if start.recovery else {})
        card = self.folder / "card.img"
        shutil.copy(self._made(loads), card)
        parity.insert(card, start.variables(_board()))
        return parity.seen(self._run(card), card)

    def _run(self, card: Path) -> str:
        drive = ("-drive", f"if=none,id=card,format=raw,cache=writethrough,file={card}")
        command = mortal(["qemu-system-aarch64", *HARDWARE, "-serial", "stdio", "-no-reboot", "-bios", self.uboot, *drive])
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=parity.TIMEOUT, check=True
        ).stdout

    def _made(self, loads: dict[str, str]) -> Path:
        """A card on which these partitions, by number, load what says these words."""
        card = self.folder / f"{'-'.join(sorted(loads)) or 'nothing'}.img"
        if card.exists():
            return card
        with card.open("wb") as file:
            file.truncate(SIZE * MIB)
        lines = ["label: gpt", *(f"start={FIRST + number}MiB, size=1MiB" for number in range(5))]
        subprocess.run(["sfdisk", "-q", card], input="\n".join(lines), text=True, check=True)
        for number, words in loads.items():
            with card.open("r+b") as file:
                file.seek((FIRST + int(number) - 1) * MIB)
                file.write(self._slot(words).read_bytes())
        return card

    def _slot(self, words: str) -> Path:
        """A file system with a script that says `boots` and the words, where the kernel would be."""
        image, tree = self.folder / f"{words}.ext4", self.folder / words
        if not image.exists():
            (tree / "boot").mkdir(parents=True)
            script = self.folder / f"{words}.txt"
            script.write_text(f"echo boots {words}\npoweroff\n")
            mkimage: list[str | Path] = ["mkimage", "-A", "arm64", "-T", "script", "-d", script, tree / "boot" / "Image"]
            subprocess.run(mkimage, check=True, stdout=subprocess.DEVNULL)
            mkfs: list[str | Path] = ["mkfs.ext4", "-q", "-O", "^has_journal", "-d", tree, image, "1M"]
            subprocess.run(mkfs, check=True, stdout=subprocess.DEVNULL)
        return image


def _board() -> dict[str, str]:
    """The board's own scripts and addresses."""
    lines = (RECIPES / "boards" / "qemu.env").read_text().splitlines()
    own = parse("\n".join(line for line in lines if not line.startswith("#")))
    return {**own, "otad_booti": BOOTI}
