"""`make board`: builds what is missing, and boots a board for a person to play with, its console in this terminal.

It keeps its card in build/board between runs; --new begins again as the factory made it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from simulator.qemu import board, card, given, recovery, rootfs
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady
from simulator.qemu.uboot import BOARD


def main() -> None:
    """Exits as QEMU does; 1 when the board cannot be built."""
    parser = argparse.ArgumentParser(prog="make board", description=__doc__)
    parser.add_argument("--new", action="store_true", help="a new card")
    parser.add_argument("--uboot", type=Path, help="your own u-boot.bin")
    parser.add_argument("--root", type=Path, help=f"your own ext4 image of slot A, at most {card.LAYOUT['a'][1]} MiB")
    arguments = parser.parse_args()
    folder = Path("build/board")
    try:
        uboot = given.uboot(arguments.uboot) if arguments.uboot else BOARD.made(Cache.default())
        drive = folder / "card.qcow2"
        if arguments.new or arguments.root or not drive.exists():
            folder.mkdir(parents=True, exist_ok=True)
            root = given.root(arguments.root) if arguments.root else rootfs.made(Cache.default())
            card.create(folder / "factory.img", root, {}, recovery.made(Cache.default()))
            board.overlay(drive, folder / "factory.img")
        command = board.command(uboot, drive, "-serial", "mon:stdio")
    except NotReady as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print("Ctrl-A x ends it. A root shell comes on the console; try: otactl status")
    raise SystemExit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
