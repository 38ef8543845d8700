"""A whole update of a 1 GiB image on the fast board: the daemon's peak memory, and what a wake-up with nothing to do costs.

`update_peak_rss_mib`: the highest VmHWM of the daemon's process before and after the reboot, read from /proc while it lives.
`wakeup_cpu_s`: user + system seconds of one start of otad that finds no check due and exits.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from otad.bootenv import Slot
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.processes import alive
from simulator.system import System

MIB = 2**20
WAKEUPS = 5


def run(quick: bool) -> dict[str, float]:
    """The figures; `quick`: 64 MiB in place of 1 GiB."""
    with tempfile.TemporaryDirectory(prefix="otad-bench-") as folder:
        return asyncio.run(_update(Path(folder), 64 if quick else 1024))


async def _update(folder: Path, mib: int) -> dict[str, float]:
    depot = Depot.create(folder / "depot")
    image = depot.image(System("1.1.0"))
    _grow(image, mib)
    depot.offer(System("1.1.0"))
    async with (
        depot.served() as repository,
        FastBoard.create(folder / "b", depot.image(System("1.0.0")), repository) as board,
    ):
        for slot in Slot:
            os.truncate(board.slots[slot], mib * MIB)
        await board.power_on()
        settled = asyncio.create_task(board.settled(timeout=900))
        peak = 0
        while not settled.done():
            peak = max(peak, _peak(board))
            await asyncio.sleep(0.02)
        assert settled.result() is Slot.B, "the update was not committed: the figure would mean nothing"
        return {"update_peak_rss_mib": round(peak / 1024, 1), "wakeup_cpu_s": _wakeup(board)}


def _grow(image: Path, mib: int) -> None:
    """Fill an image up: what a root file system is, half of it compressible. The ext4 in front of it stays as it is."""
    rng = random.Random(1)
    with image.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        while file.tell() < mib * MIB:
            file.write(rng.randbytes(MIB // 2) + bytes(MIB // 2))


def _peak(board: FastBoard) -> int:
    """KiB: the peak of the daemon that runs now."""
    for pid in alive(board.folder):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # it has just ended
        if b"otad" in command and "VmHWM:" in status:
            return int(status.split("VmHWM:")[1].split()[0])
    return 0


def _wakeup(board: FastBoard) -> float:
    """CPU seconds of a start with nothing due."""
    times = []
    for _ in range(WAKEUPS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*board.otad, "--config", board.folder / "otad.toml"], check=True, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(statistics.median(times), 3)


if __name__ == "__main__":
    sys.stdout.write(f"{run('--quick' in sys.argv)}\n")
