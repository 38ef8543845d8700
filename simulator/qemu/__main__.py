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
from simulator.qemu.cache import Cache
from simulator.qemu.fleet import Fleet
from simulator.qemu.tools import NotReady
from simulator.qemu.uboot import BOARD

FACTORY, DRIVE, FLEET = "factory.img", "card.qcow2", "fleet"


def main() -> None:
    """Exits as QEMU does; 1 when the board cannot be built."""
    parser = argparse.ArgumentParser(prog="make board", description=__doc__)
    parser.add_argument("--new", action="store_true", help="a new card")
    parser.add_argument("--uboot", type=Path, help="your own u-boot.bin")
    parser.add_argument("--root", type=Path, help=f"your own ext4 image of slot A, at most {card.LAYOUT['a'][1]} MiB")
    arguments = parser.parse_args()
    folder = Path("build/board").absolute()
    drive = folder / DRIVE
    with ExitStack() as power:
        try:
            uboot = given.uboot(arguments.uboot) if arguments.uboot else BOARD.made(Cache.default())
            if arguments.new or arguments.root or not drive.exists():
                _factory(folder, given.root(arguments.root) if arguments.root else None)
                board.overlay(drive, folder / FACTORY)
            if (folder / FLEET).exists():  # an image of one's own knows its own repository
                fleet = Fleet.open(folder / FLEET, rootfs.made(Cache.default()))
                fleet.depot.publish()  # what expires soon is signed anew
                _served(power, fleet)
            command = board.command(uboot, drive, "-serial", "mon:stdio")
        except NotReady as error:
            print(error, file=sys.stderr)
            raise SystemExit(1) from None
        print("Ctrl-A x ends it, `poweroff` does so cleanly. A root shell comes on the console; try: otactl status, otactl check")
        status = subprocess.run(command, check=False).returncode
    raise SystemExit(status)


def _served(power: ExitStack, fleet: Fleet) -> None:
    """Raises NotReady when the port is taken."""
    try:
        power.enter_context(fleet.serving())
    except OSError as error:
        raise NotReady(f"the board's repository cannot be served ({error}): end the other board first") from error


def _factory(folder: Path, own: Path | None) -> None:
    """A card as the factory makes it: with the image `own`, or with one of a new fleet. Raises NotReady."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (FACTORY, DRIVE):  # what else is there may be the person's own
        (folder / old).unlink(missing_ok=True)
    shutil.rmtree(folder / FLEET, ignore_errors=True)
    image = own
    if image is None:
        fleet = Fleet.create(folder / FLEET, rootfs.made(Cache.default()))
        image = fleet.image("1.0.0", {})
        fleet.offer("1.1.0")
    card.create(folder / FACTORY, image, {}, recovery.made(Cache.default()))


if __name__ == "__main__":
    main()
