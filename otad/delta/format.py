"""A whole patch: its header, its index, and what they may ask for. Pure.

    patch   = b"otadelta", version (1 byte), length of the header (4 bytes, little endian), header, index, segments
    header  = JSON, see Header
    index   = a Zstandard frame: ranges of the old image with their hashes, hashes of the target, the segments' streams
    segment = up to four Zstandard frames: operations, controls, diff, extra

Rules:
 1. Nothing is allocated for what a patch asks: its header is refused first. What segments and operations ask is held against it.
 2. The bytes of the old image that a patch uses, joined in order, carry a SHA-256 of every `block` bytes. The target carries one
    of all up to there every `block` bytes: the last is that of the header, so whoever held each against it holds the target.
 3. What a reader does not know (a version, a key, a kind) is refused: patches are made for devices that are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

import zstandard
from pydantic import Field, StringConstraints, ValidationError

from otad.delta.faults import Malformed
from otad.delta.ops import Extent
from otad.delta.streams import PLANES, Entry, Stream, inflated
from otad.delta.wire import Reader, varint
from otad.formats import Model, Sha256, encode

MAGIC = b"otadelta"
VERSION = 1
START = len(MAGIC) + 5  # bytes before the header
HASH = 32

HEADER = 1 << 16  # bytes of a header, at most
INDEX = 1 << 22  # bytes of a decoded index, at most
RANGES = 1 << 15
SEGMENTS = 1 << 12
OPS = 1 << 17  # of one segment
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 16, 1 << 24
MEMORY = 1 << 26
"""Bytes that a device lets decoding take, unless it is set otherwise: [download].memory."""
OWN = 8 << 20
"""Bytes that a decoder takes whatever the patch: its index, libraries, and pieces on their way."""

Size = Annotated[int, Field(ge=0, lt=1 << 62)]
Codec = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Old(Model):
    """What must be at hand: SHA-256 of the payload that brought it; length and SHA-256 of its content (a bundle's raw image)."""

    payload: Sha256
    length: Size
    sha256: Sha256


class New(Model):
    """What comes out."""

    length: Annotated[int, Field(ge=1, lt=1 << 62)]
    sha256: Sha256


class Limits(Model):
    """The most that any part of the patch asks for, in bytes.

    segment  decoded streams of one segment (`Entry.memory`)
    frame    one of its streams as it is stored (`Entry.frame`)
    window   what one DELTA reads of the old
    output   what one DELTA makes
    codecs   the greediest compressor or decompressor; never two are at work
    spool    the longest UNPACK; a file, no memory
    """

    segment: Size
    frame: Size
    window: Size
    output: Size
    codecs: Size
    spool: Size


class Index(Model):
    """How long the index is, in the patch and decoded."""

    stored: Annotated[int, Field(ge=1, le=INDEX)]
    length: Annotated[int, Field(ge=1, le=INDEX)]


class Header(Model):
    """Known before anything else.

    block   bytes from one hash to the next
    pack    compressors that PACK names, by index; see `codecs.py`
    unpack  decompressors that UNPACK names, by index
    """

    source: Old
    target: New
    block: Annotated[int, Field(ge=SMALLEST_BLOCK, le=LARGEST_BLOCK)]
    limits: Limits
    index: Index
    pack: Annotated[tuple[Codec, ...], Field(max_length=64)] = ()
    unpack: Annotated[tuple[Codec, ...], Field(max_length=64)] = ()

    @property
    def memory(self) -> int:
        """Bytes of memory that a decoder needs.

        A frame is held while it is decoded, when no DELTA is at work. That holds its window, its output, and as much of diff and
        extra. The output before it may still be a part of the block that is gathered; then the block is joined.
        """
        limits = self.limits
        work = max(limits.frame, limits.window + 2 * limits.output)
        return limits.segment + work + limits.output + 2 * self.block + limits.codecs + OWN

    @property
    def needs(self) -> tuple[str, ...]:
        """`needs` of the Encoding."""
        return (*self.unpack, *self.pack)


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


def pack_head(
    source: Old, target: New, block: int, limits: Limits, contents: Contents, pack: Iterable[str] = (), unpack: Iterable[str] = ()
) -> tuple[Header, bytes]:
    """The header, and everything of a patch before its segments. Raises Malformed when a device would refuse it."""
    index = _encoded(contents)
    stored = zstandard.ZstdCompressor(level=19).compress(index)
    if max(len(index), len(stored)) > INDEX:
        raise Malformed(f"its index has {len(index)} bytes, and {INDEX} may be")
    header = Header(
        source=source,
        target=target,
        block=block,
        limits=limits,
        index=Index(stored=len(stored), length=len(index)),
        pack=tuple(pack),
        unpack=tuple(unpack),
    )
    unpack_index(header, stored)
    text = encode(header.model_dump(mode="json"))
    return header, MAGIC + bytes([VERSION]) + len(text).to_bytes(4, "little") + text + stored


def header_length(start: bytes) -> int:
    """Bytes of the header that follows the first START bytes of a patch. Raises Malformed for what is no patch."""
    if len(start) != START or start[: len(MAGIC)] != MAGIC:
        raise Malformed("it does not begin as a patch does")
    if start[len(MAGIC)] != VERSION:
        raise Malformed(f"it is of version {start[len(MAGIC)]}, and this otad knows version {VERSION}")
    length = int.from_bytes(start[-4:], "little")
    if length > HEADER:
        raise Malformed(f"its header has {length} bytes, and {HEADER} may be")
    return length


def unpack_header(data: bytes) -> Header:
    """The header. Raises Malformed."""
    try:
        return Header.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise Malformed(f"its header is not valid: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def unpack_index(header: Header, stored: bytes) -> Contents:
    """The index, held against the header. Raises Malformed."""
    reader = Reader(inflated(stored, Stream(header.index.stored, header.index.length)))
    ranges = _ranges(reader, header.source.length)
    old = _hashes(reader, blocks(sum(length for _, length in ranges), header.block))
    new = _hashes(reader, blocks(header.target.length, header.block))
    if new[-1].hex() != header.target.sha256:
        raise Malformed("its index and its header tell of different targets")
    segments = tuple(_entry(reader, header.limits) for _ in range(_count(reader, SEGMENTS, "segments")))
    if reader.left:
        raise Malformed(f"{reader.left} bytes follow the index")
    return Contents(ranges, old, new, segments)


def _encoded(contents: Contents) -> bytes:
    ends = accumulate((0, *(one.at + one.length for one in contents.ranges)), lambda _, end: end)
    gaps = (varint(at - end) + varint(length) for (at, length), end in zip(contents.ranges, ends, strict=False))
    ranges = varint(len(contents.ranges)) + b"".join(gaps)
    segments = varint(len(contents.segments)) + b"".join(map(_segment, contents.segments))
    return ranges + b"".join(contents.old) + b"".join(contents.new) + segments


def _segment(entry: Entry) -> bytes:
    streams = (number for stream in (entry.meta, entry.control, entry.diff, entry.extra) for number in stream)
    return b"".join(map(varint, (entry.content, entry.ops, entry.controls, *streams)))


def _ranges(reader: Reader, image: int) -> tuple[Extent, ...]:
    found: list[Extent] = []
    end = 0
    for _ in range(_count(reader, RANGES, "ranges")):
        gap, length = reader.varint(), reader.varint()
        at, end = end + gap, end + gap + length
        if not length or end > image or (found and not gap):
            raise Malformed("a range is empty, begins where the last one ends, or ends behind the image")
        found.append(Extent(at, length))
    return tuple(found)


def _hashes(reader: Reader, count: int) -> tuple[bytes, ...]:
    joined = reader.take(count * HASH)
    return tuple(joined[at : at + HASH] for at in range(0, len(joined), HASH))


def _count(reader: Reader, most: int, what: str) -> int:
    count = reader.varint()
    if count > most:
        raise Malformed(f"it has {count} {what}, and {most} may be")
    return count


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
