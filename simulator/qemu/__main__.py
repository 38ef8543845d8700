"""`make board`: builds what is missing, and boots a board for a person to play with, its console in this terminal.

It keeps its card in build/board between runs; --new begins again as the factory made it. Release 1.1.0 is on offer for it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from simulator.qemu import board, card, given, recovery, rootfs
from simulator.qemu.cache import Cache, enough
from simulator.qemu.card import Files
from simulator.qemu.fleet import Fleet
from simulator.qemu.shelf import ROOM
from simulator.qemu.tools import NotReady
from simulator.qemu.uboot import BOARD

FACTORY, DRIVE, FLEET, OWN = "factory.img", "card.qcow2", "fleet", "own.img"


def main() -> None:
    """Exits as QEMU does; 1 when the board cannot be built."""
    parser = argparse.ArgumentParser(prog="make board", description=__doc__)
    parser.add_argument("--new", action="store_true", help="a new card")
    parser.add_argument("--uboot", type=Path, help="your own u-boot.bin")
    parser.add_argument("--root", type=Path, help=f"your own ext4 image of slot A, at most {card.LAYOUT['a'][1]} MiB")
    parser.add_argument("--kernel", type=Path, help="your own kernel in it: the arm64 Image")
    parser.add_argument(
        "--initrd", type=Path, help="and its initial file system, with the modules that it needs to find its root"
    )
    arguments = parser.parse_args()
    folder = Path("build/board").absolute()
    drive = folder / DRIVE
    with ExitStack() as power:
        try:
            boot = given.boot(arguments.kernel, arguments.initrd)
            root = given.root(arguments.root) if arguments.root else None
            uboot = given.uboot(arguments.uboot) if arguments.uboot else BOARD.made(Cache.default())
            if arguments.new or root or boot or not drive.exists():
                _factory(folder, root, boot)
                board.overlay(drive, folder / FACTORY)
            if (folder / FLEET).exists():  # an image of one's own knows its own repository
                fleet = Fleet.open(folder / FLEET, rootfs.made(Cache.default()))
                fleet.depot.publish()  # what expires soon is signed anew
                power.enter_context(fleet.serving())
            command = board.command(uboot, drive, "-serial", "mon:stdio")
        except NotReady as error:
            print(error, file=sys.stderr)
            raise SystemExit(1) from None
        print("Ctrl-A x ends it, `poweroff` does so cleanly. A root shell comes on the console; try: otactl status, otactl check")
        status = subprocess.run(command, check=False).returncode
    raise SystemExit(status)


def _factory(folder: Path, own: Path | None, boot: Files) -> None:
    """A card as the factory makes it: with the image `own`, or with one of a new fleet; with `boot` in it. Raises NotReady."""
    folder.mkdir(parents=True, exist_ok=True)
    enough(folder, ROOM, "the card", "work in a checkout elsewhere")
    for old in (FACTORY, DRIVE):  # what else is there may be the person's own
        (folder / old).unlink(missing_ok=True)
    shutil.rmtree(folder / FLEET, ignore_errors=True)
    if own:
        image = card.personal(folder / OWN, own, boot)
    else:
        fleet = Fleet.create(folder / FLEET, rootfs.made(Cache.default()))
        image = fleet.image("1.0.0", boot)
        fleet.offer("1.1.0", boot)
    card.create(folder / FACTORY, image, {}, recovery.made(Cache.default()))
    image.unlink()


if __name__ == "__main__":
    main()
