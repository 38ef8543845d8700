"""The operations of a patch: what the content of one segment is made of. Pure.

Rules:
 1. Content is what operations make, in order: ZERO, COPY, RAW and DELTA each append `length` bytes to it.
 2. UNPACK makes none: it decompresses a part of the old image into the spool, where COPY and DELTA can read it as they read
    the image. The spool holds until the next UNPACK, in later segments too.
 3. PACK makes none: the next `length` bytes of content go through a compressor, in later segments too, and its output takes
    their place in the target. PACKs do not nest, and there is no UNPACK inside of one.
 4. Where an operation reads is told relative to where the last one of the same segment and space stopped reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from otad.delta.faults import Malformed
from otad.delta.wire import numbers, signed, varint, zigzag

EXTENTS = 1 << 12
"""Extents of one operation, at most."""
_ZERO, _COPY, _RAW, _DELTA, _UNPACK, _PACK = range(6)  # kinds: the first byte of an operation
_SPOOL = 0x08  # beside the kind: reads from the spool


class Extent(NamedTuple):
    """`length` bytes from `at`."""

    at: int
    length: int


class Zero(NamedTuple):
    """`length` zeros."""

    length: int


class Copy(NamedTuple):
    """`length` bytes as they stand at `at` of the image, or of the spool."""

    length: int
    at: int
    spool: bool = False


class Raw(NamedTuple):
    """The next `length` bytes of the extra stream."""

    length: int


class Delta(NamedTuple):
    """bsdiff: `length` bytes from the next `controls` controls, over the extents joined. Sums come of diff, the rest of extra."""

    length: int
    controls: int
    extents: tuple[Extent, ...]
    spool: bool = False

    @property
    def reads(self) -> int:
        """Bytes of its extents."""
        return sum(extent.length for extent in self.extents)


class Unpack(NamedTuple):
    """The spool becomes the `length` bytes that the joined extents of the image decompress to. `codec`: index into `unpack`."""

    length: int
    codec: int
    extents: tuple[Extent, ...]

    @property
    def reads(self) -> int:
        """Bytes of its extents."""
        return sum(extent.length for extent in self.extents)


class Pack(NamedTuple):
    """The next `length` bytes of content are compressed. `codec`: index into `pack`."""

    length: int
    codec: int


_Take = Callable[[], int]
"""The next number; StopIteration when there is none."""
Op = Zero | Copy | Raw | Delta | Unpack | Pack


class _Places:
    """Where the last operation stopped reading: rule 4."""

    def __init__(self) -> None:
        self._at = {False: 0, True: 0}

    def write(self, extents: Iterable[Extent], *, spool: bool) -> bytes:
        out = b""
        for at, length in extents:
            out += zigzag(at - self._at[spool]) + varint(length)
            self._at[spool] = at + length
        return out

    def reset_spool(self) -> None:
        """The spool has other content now."""
        self._at[True] = 0

    def read(self, take: _Take, count: int, *, spool: bool) -> tuple[Extent, ...]:
        if not 1 <= count <= EXTENTS:
            raise Malformed(f"an operation has {count} extents, and 1 to {EXTENTS} may be")
        found, end = [], self._at[spool]
        for _ in range(count):
            at, length = end + signed(take()), take()
            if at < 0 or not length:
                raise Malformed("an operation reads in front of the image, or nothing")
            end = at + length
            found.append(Extent(at, length))
        self._at[spool] = end
        return tuple(found)


def encode(ops: Iterable[Op]) -> bytes:
    """The meta stream of a segment."""
    places = _Places()
    return b"".join(_encoded(op, places) for op in ops)


def _encoded(op: Op, places: _Places) -> bytes:
    if isinstance(op, Zero):
        return bytes([_ZERO]) + varint(op.length)
    if isinstance(op, Raw):
        return bytes([_RAW]) + varint(op.length)
    if isinstance(op, Pack):
        return bytes([_PACK]) + varint(op.length) + varint(op.codec)
    if isinstance(op, Copy):
        extent = places.write([Extent(op.at, op.length)], spool=op.spool)
        return bytes([_COPY | _SPOOL * op.spool]) + extent
    if isinstance(op, Delta):
        head = bytes([_DELTA | _SPOOL * op.spool]) + varint(op.length) + varint(op.controls)
        return head + varint(len(op.extents)) + places.write(op.extents, spool=op.spool)
    head = bytes([_UNPACK]) + varint(op.length) + varint(op.codec)
    extents = places.write(op.extents, spool=False)
    places.reset_spool()
    return head + varint(len(op.extents)) + extents


def decode(meta: bytes, count: int) -> Iterator[Op]:
    """The `count` operations of a segment. Raises Malformed when there are not so many, or something is left."""
    rest, places = numbers(meta), _Places()
    for at in range(count):
        try:
            op = _decoded(rest.__next__, places)
        except StopIteration:
            raise Malformed(f"{count} operations are promised, and {at} are there") from None
        yield op
    if next(rest, None) is not None:
        raise Malformed("something follows the operations")


def _decoded(take: _Take, places: _Places) -> Op:
    first = take()
    spool, kind = bool(first & _SPOOL), first & ~_SPOOL
    if kind == _COPY:
        ((at, length),) = places.read(take, 1, spool=spool)
        return Copy(length, at, spool)
    length = take()
    if kind == _DELTA:
        controls = take()
        return Delta(length, controls, places.read(take, take(), spool=spool), spool)
    if spool:
        raise Malformed(f"an operation {first} does not exist")
    if kind == _ZERO:
        return Zero(length)
    if kind == _RAW:
        return Raw(length)
    if kind == _PACK:
        return Pack(length, take())
    if kind == _UNPACK:
        codec = take()
        extents = places.read(take, take(), spool=False)
        places.reset_spool()
        return Unpack(length, codec, extents)
    raise Malformed(f"an operation {first} does not exist")
