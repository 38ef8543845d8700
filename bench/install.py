"""What an install costs above SWUpdate alone: the handler's wall time over that of a bare `swupdate -i` and fsync.

Rules:
 1. Paired and interleaved: each figure is the median of ratios of two runs, one right after the other, on the same bundle.
 2. Both sides run the same confined SWUpdate and write the same file, already allocated; both end with its fsync.
 3. The image is half random, half text, as a root file system is; so zstd has something to do.
"""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import zstandard

from otad.bootenv import Slot
from otad.config import Paths, Slots, Swupdate
from otad.encoding import Source, plain, zstd
from otad.formats import swu
from otad.formats.release import Payload, PayloadKind
from otad.payload.swupdate import SwupdateHandler
from otad.slots import Slots as SlotStore
from tests.support.bundles import BOARD, CONFINE, NAME, Signer, unavailable

MIB = 1 << 20
SIZE = 1024 * MIB
QUICK = 128 * MIB
PAIRS = 5
QUICK_PAIRS = 1


def run(quick: bool) -> dict[str, float]:
    """`install_overhead` (plain), `install_overhead_zstd`, `install_overhead_readback`: ratios, 1.0 is SWUpdate alone."""
    if why := unavailable():
        raise RuntimeError(f"cannot measure installs: {why}")
    with tempfile.TemporaryDirectory(prefix="otad-bench-") as name:
        bench = _Bench(Path(name), QUICK if quick else SIZE)
        ratios: dict[str, list[float]] = {}
        for _ in range(QUICK_PAIRS if quick else PAIRS):
            for figure, ours, bare in (
                ("install_overhead", bench.ours, bench.plain),
                ("install_overhead_zstd", lambda: bench.ours(compressed=True), bench.zstd),
                ("install_overhead_readback", lambda: bench.ours(readback=True), bench.plain),
            ):
                ratios.setdefault(figure, []).append(_wall(ours) / _wall(bare))
    return {figure: round(statistics.median(found), 3) for figure, found in ratios.items()}


class _Bench:
    """A board in `folder`, and one bundle of an image of `size` bytes, plain and compressed."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        signer = Signer.make(folder)
        (folder / "hwrevision").write_text(BOARD)
        (folder / "slot-a").touch()
        with (folder / "slot-b").open("wb") as slot:
            os.posix_fallocate(slot.fileno(), 0, size)
        (folder / "work").mkdir()
        (folder / "work" / "target").symlink_to(folder / "slot-b")
        self._settings = Swupdate(command=(str(CONFINE),), ca=signer.file)
        self._bundle = _bundle(folder, signer, size)
        self._blob = _compress(self._bundle)
        self._payload = Payload(
            kind=PayloadKind.SYSTEM, name="system", sha256=self._bundle.name, length=self._bundle.stat().st_size, disk=size
        )

    def ours(self, *, compressed: bool = False, readback: bool = False) -> None:
        """The handler's install."""
        slots = SlotStore(Slots(a=self._folder / "slot-a", b=self._folder / "slot-b"), Paths())
        handler = SwupdateHandler(self._settings, slots, self._folder / "run", self._folder / "hwrevision", readback=readback)
        blob, decoder = (self._blob, zstd.DECODER) if compressed else (self._bundle, plain.DECODER)
        source = Source(blob, decoder, self._payload.sha256, self._payload.length)
        asyncio.run(handler.install(self._payload, source, Slot.B, lambda _done, _all: None))

    def plain(self) -> None:
        """`swupdate -i FILE`, then fsync."""
        self._bare(f"exec {self._swupdate} -i {self._bundle}")

    def zstd(self) -> None:
        """`zstd -dc FILE | swupdate -i /dev/stdin`, then fsync."""
        self._bare(f"zstd -dc {self._blob} | {self._swupdate} -i /dev/stdin")

    @property
    def _swupdate(self) -> str:
        trust = f"-k {self._settings.ca} -e stable,B -H {BOARD.replace(' ', ':')}"
        return f"{shlex.join(self._settings.command)} -v -B uboot -m -M {trust}"

    def _bare(self, line: str) -> None:
        work = self._folder / "work"
        environment = {**os.environ, "TMPDIR": str(work), "RUNTIME_DIRECTORY": str(work)}
        subprocess.run(["sh", "-c", line], cwd=work, env=environment, check=True, capture_output=True)
        with (self._folder / "slot-b").open("rb") as slot:
            os.fsync(slot.fileno())


def _wall(action: Callable[[], None]) -> float:
    os.sync()  # what the one before left to be written is not this one's
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _bundle(folder: Path, signer: Signer, size: int) -> Path:
    """The bundle, named by its SHA-256 as in the cache."""
    image, made = folder / "image", folder / "bundle"
    digest = sha256()
    with image.open("wb") as file:
        for piece in _image(size):
            digest.update(piece)
            file.write(piece)
    description = swu.describe("1.1.0", [BOARD], NAME, digest.hexdigest())
    with image.open("rb") as data, made.open("wb") as out:
        swu.pack(description, signer.sign(description), [(NAME, data, size)], out)
    image.unlink()
    return _named(made)


def _image(size: int) -> Iterator[bytes]:
    seed = random.Random(1)
    text = b"".join(b"%08x otad: a line of a log or of a program\n" % seed.getrandbits(32) for _ in range(10_000))
    text = (text * (MIB // 2 // len(text) + 1))[: MIB // 2]
    for _ in range(size // MIB):
        yield seed.randbytes(MIB // 2) + text


def _compress(bundle: Path) -> Path:
    made = bundle.with_name("compressed")
    with bundle.open("rb") as data, made.open("wb") as out:
        zstandard.ZstdCompressor(level=3).copy_stream(data, out)
    return _named(made)


def _named(file: Path) -> Path:
    with file.open("rb") as data:
        digest = sha256()
        while piece := data.read(MIB):
            digest.update(piece)
    return file.rename(file.with_name(digest.hexdigest()))
