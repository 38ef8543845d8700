"""A whole patch, and its header: what is known of it before anything else. Pure.

    patch   = b"otadelta", version (1 byte), length of the header (4 bytes, little endian), header, index, segments
    header  = numbers, hashes and names, see Header
    index   = a Zstandard frame, see otad/delta/index.py
    segment = up to four Zstandard frames: operations, controls, diff, extra

Rules:
 1. Nothing is allocated for what a patch asks: its header is refused first. What segments and operations ask is held against it.
 2. What a reader does not know (a version, a kind, bytes behind the last one) is refused: patches are made for devices that are
    known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from otad.delta.faults import Malformed
from otad.delta.streams import Stream
from otad.delta.wire import Reader, varint

MAGIC = b"otadelta"
VERSION = 1
START = len(MAGIC) + 5  # bytes before the header
HASH = 32

HEADER = 1 << 16  # bytes of a header, at most
INDEX = 1 << 20  # bytes of a decoded index, at most
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 16, 1 << 24
SIZE = (1 << 62) - 1  # the largest length
CODECS = 64  # names of compressors, and of decompressors, at most
NAME = 200  # bytes of one, at most
MEMORY = 1 << 26
"""Bytes that a device lets decoding take, unless it is set otherwise: [download].memory."""
OWN = 8 << 20
"""Bytes that a decoder takes whatever the patch: its index, libraries, and pieces on their way."""


class Old(NamedTuple):
    """What must be at hand: SHA-256 of the payload that brought it; length and SHA-256 of its content (a bundle's raw image)."""

    payload: str
    length: int
    sha256: str


class New(NamedTuple):
    """What comes out."""

    length: int
    sha256: str


class Limits(NamedTuple):
    """The most that any part of the patch asks for, in bytes.

    segment  decoded streams of one segment (`Entry.memory`)
    frame    one of its streams as it is stored (`Entry.frame`)
    window   what one DELTA reads of the old
    output   what one DELTA makes
    codecs   the greediest compressor or decompressor; never two are at work
    spool    the longest UNPACK; a file, no memory
    """

    segment: int
    frame: int
    window: int
    output: int
    codecs: int
    spool: int


@dataclass(frozen=True)
class Header:
    """Known before anything else.

    block   bytes from one hash to the next
    index   how long the index is, in the patch and decoded
    pack    compressors that PACK names, by index; see `codecs.py`
    unpack  decompressors that UNPACK names, by index
    """

    source: Old
    target: New
    block: int
    limits: Limits
    index: Stream
    pack: tuple[str, ...] = ()
    unpack: tuple[str, ...] = ()

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


def pack_header(header: Header) -> bytes:
    """A patch up to the end of its header. Raises Malformed when a device would refuse it."""
    source, target = header.source, header.target
    parts = (
        bytes.fromhex(source.payload + source.sha256 + target.sha256),
        *map(varint, (source.length, target.length, header.block, *header.limits, *header.index)),
        *_names(header.pack),
        *_names(header.unpack),
    )
    data = b"".join(parts)
    unpack_header(data)
    return MAGIC + bytes([VERSION]) + len(data).to_bytes(4, "little") + data


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
    reader = Reader(data)
    payload, old, new = (reader.take(HASH).hex() for _ in range(3))
    source = Old(payload, reader.number("length of the old image", 0, SIZE), old)
    target = New(reader.number("length of the target", 1, SIZE), new)
    block = reader.number("block", SMALLEST_BLOCK, LARGEST_BLOCK)
    limits = Limits(*(reader.number(f"limit of {name}", 0, SIZE) for name in Limits._fields))
    index = Stream(*(reader.number("length of the index", 1, INDEX) for _ in Stream._fields))
    header = Header(source, target, block, limits, index, _named(reader), _named(reader))
    reader.end("header")
    return header


def _names(names: tuple[str, ...]) -> Iterator[bytes]:
    yield varint(len(names))
    for name in names:
        yield varint(len(name.encode())) + name.encode()


def _named(reader: Reader) -> tuple[str, ...]:
    count = reader.number("count of codecs", 0, CODECS)
    try:
        return tuple(reader.take(reader.number("length of a codec's name", 1, NAME)).decode() for _ in range(count))
    except UnicodeDecodeError as error:
        raise Malformed("the name of a codec is not UTF-8") from error
