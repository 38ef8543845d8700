"""A delta: the bytes that make a new payload from an old one that is at hand.

Rules:
 1. A delta is nothing until the device's own decoder has made the new payload from it: whoever publishes one sees to that.
 2. The same pair gives the same delta, however many processes make it.
 3. Memory: about 500 MiB for each process at most, whatever the images; and 30 MiB for each GiB of the old image to find what is
    the same (four times that, where its blocks have 1 KiB).
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from otad.delta import index
from otad.delta.faults import Malformed
from otad.delta.format import Limits, New, Old
from otad.delta.ops import Extent
from otad.errors import OtadError, Rejected, Who
from otad.formats import swu
from otad.formats.swu import cpio
from otad.publisher.delta import blobs, ext4, plan, segment
from otad.publisher.delta.blocks import runs
from otad.publisher.delta.covers import BEST
from otad.publisher.delta.ext4 import Extent as Place
from otad.publisher.delta.ext4 import File, FileSystem
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.pairing import pairs
from otad.publisher.delta.plan import Fresh, Piece
from otad.publisher.delta.repacking import Opener, Repacking
from otad.publisher.delta.segment import Done
from otad.publisher.delta.stretch import Stretch
from otad.publisher.encode import Progress, fingerprint, quiet

SEGMENT = 12 << 20
"""Bytes of fresh content that are compared as one segment: as much, and a little more, are its decoded streams as a rule."""
BLOCK = 1 << 20  # bytes from one hash to the next
WHOLE = "(the whole file)"
"""In place of a path, where a payload is one compressed file."""
MOST = 20 << 20  # bytes of memory that a compressor may take of a device: with all else it is below 64 MiB
PROCESSES = 3  # at most: three of them keep below 1.5 GiB
LEVEL = 17  # of zstd; 19 saves 4 % and takes two and a half times as long


@dataclass(frozen=True)
class Payload:
    """A bundle or a raw image, by its content. `image`: the raw image in it."""

    sha256: str
    whole: Stretch
    image: Stretch

    @classmethod
    def of(cls, file: Path, progress: Progress = quiet) -> Payload:
        """Look into `file`."""
        whole = Stretch.whole(file)
        sha256, _ = fingerprint(file, progress)
        if whole[:6] not in cpio.MAGIC:
            return cls(sha256, whole, whole)
        with file.open("rb") as opened:
            head = swu.head(iter(lambda: opened.read(1 << 16), b""))
        return cls(sha256, whole, whole.part(head.start, head.length))


def make(old: Payload, new: Payload, out: BinaryIO, scratch: Path, *, repack: bool = True, progress: Progress = quiet) -> Ledger:
    """Write the delta from `old` to `new` to `out`. `scratch`: a folder for what compressed files hold.

    repack  compare compressed files by what they hold, for devices to compress again: smaller, and more work for them

    Raises OtadError("delta-killed") when one of its processes was ended, Rejected("delta-too-large") for more than a delta holds.
    """
    before, after, notes = _file_systems(old.image, new.image)
    older = pairs(before.files, after.files)
    with old.image.reading() as was, new.image.reading() as becomes:
        blocks = list(runs(was, becomes, min(before.block, after.block), progress))
    changed = plan.areas_of(after.files, blocks, new.image.length)
    candidates = [(file, older[file.path]) for file in after.files if file.path in changed and file.path in older]
    with _pool() as pool:
        repacking = Opener(old.image, new.image, scratch, MOST).repacking(candidates if repack else (), pool, progress)
        pair = plan.Pair(old.image, new.image, older, repacking.files)
        segments = list(_segments(_bundled(new, plan.pieces(pair, after.files, blocks))))
        finished = list(_all_done(segments, pool, progress))
    _written(old, new, finished, repacking, out)
    return Ledger(tuple(line for one in finished for line in one.lines), (*notes, *repacking.notes))


def _bundled(new: Payload, image: Iterable[Piece]) -> Iterator[Piece]:
    """What stands before the image in its bundle, the image, and what follows."""
    start, end = new.image.at, new.image.at + new.image.length
    before, after = (Fresh("", new.whole.part(at, to - at), new.image, ()) for at, to in ((0, start), (end, new.whole.length)))
    yield from (one for one in (before,) if one.new.length)
    yield from image
    yield from (one for one in (after,) if one.new.length)


def _file_systems(old: Stretch, new: Stretch) -> tuple[FileSystem, FileSystem, list[str]]:
    """What both hold, and in words why the files of one are not known."""
    notes: list[str] = []
    before, after = (_file_system(image, name, notes) for image, name in ((old, "old"), (new, "new")))
    if not after.files and blobs.kind_at(new):
        return _one_file(old), _one_file(new), notes
    return before, after, notes


def _file_system(image: Stretch, name: str, notes: list[str]) -> FileSystem:
    try:
        with image.reading() as reading:
            return ext4.read(reading)
    except ext4.Unreadable as error:
        notes.append(f"the {name} image is not compared file by file: {error}")
        return FileSystem(ext4.LARGEST, ())


def _one_file(image: Stretch) -> FileSystem:
    """A layer or a model that is compressed as a whole: opened as a compressed file is."""
    return FileSystem(ext4.LARGEST, (File(WHOLE, image.length, (Place(0, 0, image.length),)),))


def _segments(planned: Iterable[Piece]) -> Iterator[list[Piece]]:
    together: list[Piece] = []
    fresh = ops = 0
    for piece in planned:
        more = piece.new.length if isinstance(piece, Fresh) else 0
        most = segment.most(piece)
        if together and (fresh + more > SEGMENT or ops + most > index.OPS):
            yield together
            together, fresh, ops = [], 0, 0
        together.append(piece)
        fresh, ops = fresh + more, ops + most
    yield together


@contextmanager
def _pool() -> Iterator[Executor]:
    processes = min(PROCESSES, len(os.sched_getaffinity(0)))
    theirs, ours = multiprocessing.Pipe(duplex=False)
    try:
        with theirs, ours, ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _with_us, (theirs,)) as pool:
            with _no_interrupt():
                pool.submit(int)  # starts all of them
            try:
                yield pool
            except BaseException:
                ours.close()  # what waits and what is at work would be finished, before anybody is told
                raise
    except BrokenProcessPool as error:
        what = f"one of {processes} processes that compare was ended by the system"
        remedy = "Give it more memory (500 MiB for each process), and run it again"
        raise OtadError("delta-killed", what, remedy, who=Who.INTEGRATOR) from error


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes that are started here never hear of Ctrl-C: ending them is ours, and they would only add their tracebacks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _with_us(theirs: Connection) -> None:
    """In each of them: it ends when nobody has the other end any more, whatever ended the process that started it."""
    threading.Thread(target=_follow, args=[theirs], daemon=True).start()


def _follow(theirs: Connection) -> None:
    theirs.poll(None)
    os._exit(1)


def _all_done(parts: Sequence[Sequence[Piece]], pool: Executor, progress: Progress) -> Iterator[Done]:
    """Every segment, in order."""
    progress("comparing", 0, len(parts))
    waiting = [pool.submit(segment.done, part, BEST, LEVEL) for part in parts]
    for number, finished in enumerate(as_completed(waiting), start=1):
        finished.result()  # one that failed is told now
        progress("comparing", number, len(parts))
    for future in waiting:
        yield from future.result()


def _written(old: Payload, new: Payload, finished: Sequence[Done], repacking: Repacking, out: BinaryIO) -> None:
    ranges = _ranges(extent for one in finished for extent in one.reads)
    contents = index.Contents(
        ranges,
        tuple(_hashes(old.image, ranges)),
        tuple(_growing(new.whole)),
        tuple(one.entry for one in finished),
    )
    limits = Limits(
        segment=max(one.entry.memory for one in finished),
        frame=max(one.entry.frame for one in finished),
        window=max(one.window for one in finished),
        output=max(one.output for one in finished),
        codecs=repacking.codecs,
        spool=repacking.spool,
    )
    image = hashlib.sha256()
    for piece in _read(old.image, [Extent(0, old.image.length)]):
        image.update(piece)
    source = Old(old.sha256, old.image.length, image.hexdigest())
    target = New(new.whole.length, new.sha256)
    try:
        head = index.head(source, target, BLOCK, limits, contents, repacking.pack, repacking.unpack)
    except Malformed as error:
        raise _too_large(str(error)) from error
    out.write(head)
    out.writelines(one.data for one in finished)


def _too_large(why: str) -> Rejected:
    what = f"a delta cannot hold what makes these images different: {why}"
    return Rejected(
        "delta-too-large", what, "Publish the release without it: docs/delta-format.md has the limits", who=Who.INTEGRATOR
    )


def _ranges(reads: Iterable[Extent]) -> tuple[Extent, ...]:
    """What is read, each byte once, in order; with what is little between two parts, where there would be too many."""
    wanted = sorted(reads)
    near = 0
    while True:
        joined: list[Extent] = []
        for at, length in wanted:
            if joined and at <= joined[-1].at + joined[-1].length + near:
                last = joined[-1]
                joined[-1] = Extent(last.at, max(last.length, at + length - last.at))
            else:
                joined.append(Extent(at, length))
        if len(joined) <= index.RANGES:
            return tuple(joined)
        wanted, near = joined, 2 * near or 4096


def _hashes(stretch: Stretch, extents: Iterable[Extent]) -> Iterator[bytes]:
    """SHA-256 of every block of the joined extents."""
    digest, left = hashlib.sha256(), BLOCK
    for piece in _read(stretch, extents):
        digest.update(piece[:left])
        rest = piece[left:]
        left -= len(piece) - len(rest)
        if not left:
            yield digest.digest()
            digest, left = hashlib.sha256(rest), BLOCK - len(rest)
    if left < BLOCK:
        yield digest.digest()


def _growing(stretch: Stretch) -> Iterator[bytes]:
    """SHA-256 of everything up to the end of each block."""
    digest = hashlib.sha256()
    for piece in _read(stretch, [Extent(0, stretch.length)]):
        digest.update(piece)
        yield digest.digest()


def _read(stretch: Stretch, extents: Iterable[Extent]) -> Iterator[bytes]:
    for at, length in extents:
        for start in range(at, at + length, BLOCK):
            yield stretch[start : min(start + BLOCK, at + length)]
