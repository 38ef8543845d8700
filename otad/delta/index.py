"""The index of a patch: what it reads of the old image, what comes out, and where its segments' streams are. Pure.

Rules:
 1. The bytes of the old image that a patch uses, joined in order, carry a SHA-256 of every `block` bytes. The target carries one
    of all up to there every `block` bytes: the last is that of the header, so whoever held each against it holds the target.
 2. Every segment is held against the header's limits here, before a byte of it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

import zstandard

from otad.delta.faults import Malformed
from otad.delta.format import HASH, Header, Limits, New, Old, pack_header
from otad.delta.ops import Extent
from otad.delta.streams import PLANES, Entry, Stream, inflated
from otad.delta.wire import Reader, varint

RANGES = 1 << 15
SEGMENTS = 1 << 12
OPS = 1 << 17  # of one segment


@dataclass(frozen=True)
class Contents:
    """The index, decoded: what the old image is read for, what comes out, and where the segments' streams are.

    ranges    ascending, apart from each other
    old       SHA-256 of each block of the ranges joined
    new       SHA-256 of the target up to the end of each block of it
    """

    ranges: tuple[Extent, ...]
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    segments: tuple[Entry, ...]


def blocks(length: int, block: int) -> int:
    """How many hashes cover `length` bytes."""
    return -(-length // block)


def head(
    source: Old, target: New, block: int, limits: Limits, contents: Contents, pack: Iterable[str] = (), unpack: Iterable[str] = ()
) -> bytes:
    """Everything of a patch before its segments. Raises Malformed when a device would refuse it."""
    index = pack_index(contents)
    stored = zstandard.ZstdCompressor(level=19).compress(index)
    header = Header(source, target, block, limits, Stream(len(stored), len(index)), tuple(pack), tuple(unpack))
    start = pack_header(header)
    unpack_index(header, stored)
    return start + stored


def pack_index(contents: Contents) -> bytes:
    """The index, decoded."""
    ends = accumulate((0, *(one.at + one.length for one in contents.ranges)), lambda _, end: end)
    gaps = (varint(at - end) + varint(length) for (at, length), end in zip(contents.ranges, ends, strict=False))
    ranges = varint(len(contents.ranges)) + b"".join(gaps)
    segments = varint(len(contents.segments)) + b"".join(map(_segment, contents.segments))
    return ranges + b"".join(contents.old) + b"".join(contents.new) + segments


def unpack_index(header: Header, stored: bytes) -> Contents:
    """The index, held against the header. Raises Malformed."""
    reader = Reader(inflated(stored, header.index))
    ranges = _ranges(reader, header.source.length)
    old = _hashes(reader, blocks(sum(length for _, length in ranges), header.block))
    new = _hashes(reader, blocks(header.target.length, header.block))
    if new[-1].hex() != header.target.sha256:
        raise Malformed("its index and its header tell of different targets")
    segments = tuple(_entry(reader, header.limits) for _ in range(reader.number("count of segments", 0, SEGMENTS)))
    reader.end("index")
    return Contents(ranges, old, new, segments)


def _segment(entry: Entry) -> bytes:
    streams = (number for stream in (entry.meta, entry.control, entry.diff, entry.extra) for number in stream)
    return b"".join(map(varint, (entry.content, entry.ops, entry.controls, *streams)))


def _ranges(reader: Reader, image: int) -> tuple[Extent, ...]:
    found: list[Extent] = []
    end = 0
    for _ in range(reader.number("count of ranges", 0, RANGES)):
        gap, length = reader.varint(), reader.varint()
        at, end = end + gap, end + gap + length
        if not length or end > image or (found and not gap):
            raise Malformed("a range is empty, begins where the last one ends, or ends behind the image")
        found.append(Extent(at, length))
    return tuple(found)


def _hashes(reader: Reader, count: int) -> tuple[bytes, ...]:
    joined = reader.take(count * HASH)
    return tuple(joined[at : at + HASH] for at in range(0, len(joined), HASH))


def _entry(reader: Reader, limits: Limits) -> Entry:
    content, ops, controls, *rest = (reader.varint() for _ in range(11))
    entry = Entry(content, ops, controls, *(Stream(*rest[at : at + 2]) for at in range(0, 8, 2)))
    if any(bool(stream.stored) != bool(stream.length) for stream in entry.streams):
        raise Malformed("a stream without bytes has a frame, or one with bytes has none")
    if ops > OPS or entry.control.length != controls * PLANES:
        raise Malformed("a segment has too many operations, or not the controls that it promises")
    if entry.memory > limits.segment or entry.frame > limits.frame:
        raise Malformed(
            f"a segment takes {entry.memory} bytes of memory, and {entry.frame} for a frame: its header declares less"
        )
    return entry
