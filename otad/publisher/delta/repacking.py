"""Compressed files of a new image, planned by what they hold: which of them, and how.

Rules:
 1. Only a file that changed, has a pair and lies in one piece is looked at: the others are copied, or nothing like them is known.
 2. A compressor that would take a device more than `most` bytes is not used.
 3. What is compressed and stays as it is, is named, with the reason: it is what makes deltas large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from otad.delta import codecs
from otad.delta.ops import EXTENTS, Extent, Pack, Unpack
from otad.publisher.delta import blobs
from otad.publisher.delta.blobs import Blob
from otad.publisher.delta.ext4 import Extent as Place
from otad.publisher.delta.ext4 import File
from otad.publisher.delta.plan import Repacked
from otad.publisher.delta.stretch import Stretch
from otad.publisher.encode import Progress, quiet

PIECE = blobs.PIECE
WORTH = 4096  # bytes: a smaller file is not worth a compressor


@dataclass(frozen=True)
class Opened:
    """Both sides of one compressed file. `old` is None where the old file was not compressed, or so that no device opens it."""

    path: str
    older: File
    new: Blob
    packer: str
    old: Blob | None


Found = Opened | str | None
"""Of a file: both sides; in words, why it stays as it is; None where there is nothing to open."""


@dataclass(frozen=True)
class Repacking:
    """Every compressed file that is made again; what that takes, by name and in bytes; and what stays as it is, in words."""

    files: Mapping[str, Repacked]
    pack: tuple[str, ...] = ()
    unpack: tuple[str, ...] = ()
    codecs: int = 0
    spool: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opener:
    """Opens files, in processes of their own. `scratch`: a folder for what they hold; `most`: rule 2."""

    old: Stretch
    new: Stretch
    scratch: Path
    most: int

    def repacking(self, pairs: Sequence[tuple[File, File]], pool: Executor, progress: Progress = quiet) -> Repacking:
        """Of all (new, old) that are compressed."""
        wanted = [(file, older) for file, older in pairs if len(file.extents) == 1 and file.whole and file.size >= WORTH]
        waiting = [pool.submit(self.opened, number, *pair) for number, pair in enumerate(wanted)]
        results = list(_told(waiting, progress))
        found = [one for one in results if isinstance(one, Opened)]
        pack = sorted({one.packer for one in found})
        unpack = sorted({one.old.kind for one in found if one.old})
        at_work = {codecs.compressor(one.packer).memory(one.new.content.length) for one in found} | {
            codecs.UNPACK[kind] for kind in unpack
        }
        return Repacking(
            {one.path: self._repacked(one, pack, unpack) for one in found},
            tuple(map(codecs.with_proof, pack)),
            tuple(unpack),
            max(at_work, default=0),  # one at a time
            max((one.old.content.length for one in found if one.old), default=0),
            (*(one for one in results if isinstance(one, str)), *self._split(pairs)),
        )

    def _split(self, pairs: Sequence[tuple[File, File]]) -> Iterator[str]:
        """Compressed files that PACK cannot make: its output stands in one piece."""
        for file, _ in pairs:
            first = file.extents[0]
            if len(file.extents) > 1 and file.size >= WORTH and blobs.kind_at(self.new.part(first.physical, first.length)):
                yield (
                    f"{file.path}: it lies in {len(file.extents)} pieces, which no device makes again; it is compared as it is. "
                    "In images that otarepo image --root makes, files lie in one piece"
                )

    def opened(self, number: int, file: File, older: File) -> Found:
        """One of them, in a process of its own."""
        stored = self.new.part(file.extents[0].physical, file.size)
        new = blobs.opened(stored, self.scratch / f"{number}.new")
        if new is None:
            kind = blobs.foreign(stored)
            return f"{file.path}: devices do not take {kind} apart; it is compared as it is" if kind else None
        try:
            packer = blobs.packer(new, stored, self.most)
        except blobs.NotAgain as why:
            new.content.file.unlink()
            return f"{file.path}: {why}; it is compared as it is"
        return Opened(file.path, older, new, packer, self._old(older, number))

    def _old(self, older: File, number: int) -> Blob | None:
        """What an UNPACK opens; it names EXTENTS pieces at most, and no holes."""
        if len(older.extents) > EXTENTS or not older.whole:
            return None
        return blobs.opened(self._whole(older, number), self.scratch / f"{number}.old", blobs.DEVICE)

    def _whole(self, file: File, number: int) -> Stretch:
        """The bytes of an old file in one piece."""
        if len(file.extents) == 1:
            return self.old.part(file.extents[0].physical, min(file.size, file.extents[0].length))
        joined = self.scratch / f"{number}.joined"
        with joined.open("wb") as out, self.old.reading() as reading:
            for extent in file.extents:
                end = extent.physical + extent.length
                out.writelines(reading[at : min(at + PIECE, end)] for at in range(extent.physical, end, PIECE))
            out.truncate(file.size)
        return Stretch.whole(joined)

    def _repacked(self, one: Opened, pack: Sequence[str], unpack: Sequence[str]) -> Repacked:
        new = one.new
        last = Pack(new.content.length, pack.index(one.packer))
        if one.old is None:
            return Repacked(new.at, new.stored, new.content, (last,), self.old, one.older.extents, spool=False)
        old = one.old.content
        first = Unpack(old.length, unpack.index(one.old.kind), tuple(_placed(one.older, one.old.at, one.old.stored)))
        return Repacked(new.at, new.stored, new.content, (first, last), old, (Place(0, 0, old.length),), spool=True)


def _told(waiting: Sequence[Future[Found]], progress: Progress) -> Iterator[Found]:
    for number, future in enumerate(waiting):
        progress("taking compressed files apart", number, len(waiting))
        yield future.result()


def _placed(file: File, at: int, length: int) -> Iterator[Extent]:
    """Where `length` bytes from `at` of a file lie."""
    for one in file.extents:
        low, high = max(at, one.logical), min(at + length, one.logical + one.length)
        if high > low:
            yield Extent(one.physical + low - one.logical, high - low)
