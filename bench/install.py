"""What the INSTALL state costs above SWUpdate alone.

Rules:
 1. Ours is the whole state, as a whole update on the fast board tells it in its event: admission asked again on fresh metadata,
    the environment, SWUpdate, fsync, the generation.
 2. Bare is `swupdate -i` and fsync, on the same bundle, into the same slot, confined alike, right after the update or right
    before it. The bundle was read before: the update's has just been downloaded.
 3. A figure is the median of the ratios of pairs. Who is first takes turns: the second finds the disk as the first left it.
 4. The zstd image is half random, half text, as a root file system is; the plain one is random, and so travels as it is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

from otad.bootenv import Slot
from otad.journal import Journal
from otad.statemachine import State
from simulator.depot import Depot
from simulator.fastboard import FastBoard
from simulator.settings import HARDWARE, HERE, Repository
from simulator.system import System

MIB = 1 << 20
SIZE, QUICK = 1024, 64  # MiB
PAIRS, QUICK_PAIRS = 5, 1


@dataclass(frozen=True)
class Case:
    """One figure: which image, and whether the slot is read back."""

    version: str
    noise: int  # bytes of each MiB that cannot be compressed; all of it: the bundle travels plain
    readback: bool = False


CASES = {
    "install_overhead": Case("1.1.0", MIB),
    "install_overhead_zstd": Case("1.2.0", MIB // 2),
    "install_overhead_readback": Case("1.1.0", MIB, readback=True),
}


def run(quick: bool) -> dict[str, float]:
    """`install_overhead` (plain), `install_overhead_zstd`, `install_overhead_readback`: ratios, 1.0 is SWUpdate alone."""
    with tempfile.TemporaryDirectory(prefix="otad-bench-") as folder:
        mib, pairs = (QUICK, QUICK_PAIRS) if quick else (SIZE, PAIRS)
        return asyncio.run(_measure(Path(folder) / "b", _depot(Path(folder) / "depot", mib), mib, pairs))


def _depot(folder: Path, mib: int) -> Depot:
    """The releases, and beside each bundle what `zstd -dc` is given."""
    depot = Depot.create(folder)
    for version, noise in sorted({(case.version, case.noise) for case in CASES.values()}):
        _grow(image := depot.image(System(version)), mib, noise)
        depot.add(version, bundle := depot.pack(version, image))
        subprocess.run(["zstd", "-1", "-q", bundle], check=True)
    return depot


async def _measure(folder: Path, depot: Depot, mib: int, pairs: int) -> dict[str, float]:
    ratios: dict[str, list[float]] = {figure: [] for figure in CASES}
    async with depot.served() as repository:
        for turn, (figure, case) in product(range(pairs), CASES.items()):
            depot.roll_out(case.version)
            async with _board(folder, depot, repository, mib) as board:
                ratios[figure].append(await _ratio(board, depot, case, bare_first=turn % 2 == 1))
            shutil.rmtree(board.folder)
    return {figure: round(statistics.median(ratios[figure]), 3) for figure in CASES}


async def _ratio(board: FastBoard, depot: Depot, case: Case, *, bare_first: bool) -> float:
    """Ours over bare, of one pair."""
    bare = await asyncio.to_thread(_bare, board, depot, case) if bare_first else 0.0
    ours = await _updated(board, case)
    return ours / (bare or await asyncio.to_thread(_bare, board, depot, case))


def _board(folder: Path, depot: Depot, repository: Repository, mib: int) -> FastBoard:
    board = FastBoard.create(folder, depot.image(System("1.0.0")), repository)
    with board.slots[Slot.B].open("wb") as slot:  # a partition has its blocks, and neither side pays for them
        for _ in range(mib):
            slot.write(bytes(MIB))
    return board


async def _updated(board: FastBoard, case: Case) -> float:
    """Seconds that the INSTALL state of an update took. The slot holds the image then, and otad sleeps."""
    board.configure("bench", f"[slots]\nreadback = {str(case.readback).lower()}\n")
    os.sync()  # what was made before is not the board's to write
    await board.power_on()
    assert await board.settled(timeout=900) is Slot.B, "the update was not committed: the figure would mean nothing"
    with closing(Journal.open(board.folder / "data" / "otad" / "journal.db")) as journal:
        (install,) = [event for event in journal.events.page() if event["state"] == State.INSTALL]
    return float(install["durations"]["state"])


def _bare(board: FastBoard, depot: Depot, case: Case) -> float:
    """Seconds of SWUpdate alone, and fsync."""
    work = board.folder / "bare"
    work.mkdir()
    (work / "target").symlink_to(board.slots[Slot.B])
    ca = depot.workspace.signer.authority
    swupdate = f"{HERE / 'confine'} -v -B uboot -m -M -k {ca} -e stable,B -H {HARDWARE.replace(' ', ':')}"
    plain = case.noise == MIB
    bundle = depot.folder / f"{case.version}.swu{'' if plain else '.zst'}"
    line = f"exec {swupdate} -i {bundle}" if plain else f"zstd -dc {bundle} | {swupdate} -i /dev/stdin"
    subprocess.run(["cat", bundle], check=True, stdout=subprocess.DEVNULL)
    os.sync()
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", line], cwd=work, env={**os.environ, "TMPDIR": str(work)}, check=True, capture_output=True)
    with board.slots[Slot.B].open("rb") as slot:
        os.fsync(slot.fileno())
    return time.perf_counter() - begin


def _grow(image: Path, mib: int, noise: int) -> None:
    """Fill an image up to `mib` MiB, `noise` bytes of each random, the rest text. The ext4 in front of it stays as it is."""
    with image.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        for piece in _pieces(mib - file.tell() // MIB, noise):
            file.write(piece)


def _pieces(count: int, noise: int) -> Iterator[bytes]:
    rng = Random(1)
    text = b"".join(b"%08x otad: a line of a log or of a program\n" % rng.getrandbits(32) for _ in range(MIB // 52))
    for _ in range(count):
        yield rng.randbytes(noise) + text[: MIB - noise]
