"""Apply a patch: (patch, old image with random access) -> the target's bytes, in order.

Rules:
 1. Everything that the patch will read of the old image is hashed by `check`, which changes nothing; what it does not name is not
    read.
 2. Not a byte of the target leaves before the hash of all up to it is right: the old image may have changed after `check`.
 3. Memory: what the header declares. No operation is begun before it was held against the header's limits, and against the work
    that any patch of this size may do: a small patch cannot keep a device busy for ever.
 4. What is wrong is a Fault, of the patch, the old image, a compressor or the disk. Never a byte that is not the target's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing

from bsdiff4 import core

from otad.delta.codecs import UNPACK, Packer, compressor, unpack
from otad.delta.faults import Changed, Malformed
from otad.delta.ops import Copy, Delta, Extent, Op, Pack, Raw, Unpack, Zero, decode
from otad.delta.patch import Part, Patch
from otad.delta.places import Hashed, Joined, Readable, gathered
from otad.delta.spool import Spool

OUT = 1 << 20
"""Bytes, at most, of a piece of the target, and of what an operation makes at a time."""
CRUMB = 1 << 10
"""Bytes of a piece that is worth being held by itself."""
WORK = 32  # times the old and the new image: what operations may read, decompress and make
_ZEROS = memoryview(bytes(OUT))

_Bytes = bytes | memoryview  # views: what is cut is not copied


def check(patch: Patch, image: Readable) -> Iterator[int]:
    """Hash what the patch uses of the image. Yields how many bytes were right so far. Raises Changed."""
    ranges, block, done = patch.contents.ranges, patch.header.block, 0
    used = Joined(image, ranges)
    for expected in patch.contents.old:
        digest, left = hashlib.sha256(), block
        while left and (piece := used.read(min(left, OUT))):
            digest.update(piece)
            left -= len(piece)
        if digest.digest() != expected:
            raise Changed(f"the image is not what the patch was made from, from byte {_place(ranges, done)} on")
        done += block - left
        yield done


def apply(patch: Patch, image: Readable, spool: Spool) -> Iterator[bytes]:
    """The target, in pieces of at most OUT; whoever got the last one got the target.

    Raises a Fault of any kind.
    """
    expected, done, digest = iter(patch.contents.new), 0, hashlib.sha256()
    with closing(_Run(patch, Hashed(image, patch.contents.ranges), spool)) as run:
        for made in map(b"".join, _blocks(_coarse(run.target()), patch.header.block)):
            wanted = next(expected, None)
            if wanted is None:
                raise Malformed("it makes more than its header says")
            digest.update(made)
            if digest.digest() != wanted:
                raise Changed(f"from byte {done} on, something else comes out: the image changed, or a compressor differs")
            done += len(made)
            yield from (made[at : at + count] for at, count in _pieces(len(made), OUT))
            del made  # before the next one is joined
    if done != patch.header.target.length:
        raise Malformed(f"it makes {done} bytes, and its header says {patch.header.target.length}")


class _Run:
    """One application. `_work` is what it may still do: rule 3."""

    def __init__(self, patch: Patch, image: Readable, spool: Spool) -> None:
        self._patch = patch
        self._image = image
        self._spool = spool
        self._packing: tuple[Packer, int] | None = None  # and bytes of content that are still to come
        self._work = WORK * (patch.header.source.length + patch.header.target.length + OUT)

    def close(self) -> None:
        """No compressor is left."""
        if self._packing:
            self._packing[0].close()

    def target(self) -> Iterator[_Bytes]:
        """Content, and in place of what is packed, what the compressor made of it."""
        for part in self._patch.parts():
            for piece in self._content(part):
                if self._packing:
                    yield from self._packed(piece, *self._packing)
                else:
                    yield piece
            del part  # its streams, before those of the next are decoded
        if self._packing:
            raise Malformed("it ends inside of a PACK")

    def _packed(self, piece: _Bytes, packer: Packer, left: int) -> Iterator[_Bytes]:
        if len(piece) > left:
            raise Malformed("an operation reaches over the end of a PACK")
        yield packer.write(piece)
        self._packing = packer, left - len(piece)
        if left == len(piece):
            yield from packer.finish()
            packer.close()
            self._packing = None

    def _content(self, part: Part) -> Iterator[_Bytes]:
        """What the operations of a segment make."""
        left = part.entry.content
        for op in decode(part.meta, part.entry.ops):
            self._spend(op)
            if isinstance(op, Pack):
                self._begin(op)
                continue
            if isinstance(op, Unpack):
                self._unpack(op)
                continue
            left -= op.length
            if left < 0:
                raise Malformed("a segment makes more than the index says")
            yield from self._made(op, part)
        if left:
            raise Malformed("a segment makes less than the index says")
        part.end()

    def _made(self, op: Zero | Copy | Raw | Delta, part: Part) -> Iterator[_Bytes]:
        if isinstance(op, Delta):
            yield self._delta(op, part)
        elif isinstance(op, Copy):
            place = self._spool if op.spool else self._image
            for at, count in _pieces(op.length, OUT, op.at):
                yield place.read(at, count)
        elif isinstance(op, Raw):
            for _, count in _pieces(op.length, OUT):
                yield part.raw(count)
        else:
            for _, count in _pieces(op.length, OUT):
                yield _ZEROS[:count]

    def _delta(self, op: Delta, part: Part) -> bytes:
        limits = self._patch.header.limits
        if op.length > limits.output or op.reads > limits.window:
            raise Malformed("a DELTA is larger than the header declares")
        controls, diff, extra = part.delta(op.length, op.controls)
        old = gathered(self._spool if op.spool else self._image, op.extents)
        try:
            made: bytes = core.patch(old, op.length, controls, diff, extra)
        except ValueError as error:
            raise Malformed(f"a DELTA cannot be applied: {error}") from error
        return made

    def _unpack(self, op: Unpack) -> None:
        header = self._patch.header
        if self._packing or op.codec >= len(header.unpack) or op.length > header.limits.spool:
            raise Malformed("an UNPACK is inside of a PACK, of no known codec, or larger than the header declares")
        name = header.unpack[op.codec]
        if UNPACK.get(name, 0) > header.limits.codecs:
            raise Malformed("a decompressor takes more memory than the header declares")
        self._spool.fill(unpack(name, Joined(self._image, op.extents), op.length))

    def _begin(self, op: Pack) -> None:
        header = self._patch.header
        if self._packing or op.codec >= len(header.pack):
            raise Malformed("a PACK is inside of another, or of no known codec")
        found = compressor(header.pack[op.codec])
        if found.memory(op.length) > header.limits.codecs:
            raise Malformed("a compressor takes more memory than the header declares")
        self._packing = found.begin(op.length), op.length

    def _spend(self, op: Op) -> None:
        self._work -= op.length + (op.reads if isinstance(op, (Delta, Unpack)) else 0)
        if not op.length or self._work < 0:
            raise Malformed("an operation does nothing, or the patch does more than any of its size needs")


def _pieces(length: int, most: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """(place, count) of the pieces of `length` bytes from `start`."""
    for at in range(0, length, most):
        yield start + at, min(most, length - at)


def _coarse(pieces: Iterable[_Bytes]) -> Iterator[_Bytes]:
    """The same bytes, without crumbs: a block of these would take many times its length to hold."""
    crumbs = bytearray()
    for piece in pieces:
        if len(piece) >= CRUMB:
            if crumbs:
                yield bytes(crumbs)
                crumbs.clear()
            yield piece
            continue
        crumbs += piece
        if len(crumbs) >= CRUMB:
            yield bytes(crumbs)
            crumbs.clear()
    if crumbs:
        yield bytes(crumbs)


def _blocks(pieces: Iterable[_Bytes], block: int) -> Iterator[list[_Bytes]]:
    """The same bytes, in blocks; the last may be short."""
    held: list[_Bytes] = []
    missing = block
    for piece in pieces:
        rest = piece
        while len(rest) >= missing:
            view = memoryview(rest)
            yield [*held, view[:missing]]
            held, rest, missing = [], view[missing:], block
        if rest:
            held.append(rest)
            missing -= len(rest)
    if held:
        yield held


def _place(ranges: Iterable[Extent], used: int) -> int:
    """Where in the image the byte `used` of the joined ranges is."""
    for at, length in ranges:
        if used < length:
            return at + used
        used -= length
    raise LookupError(used)
