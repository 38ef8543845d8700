"""A patch as a file: its head, refused before anything is allocated for it, and its segments' streams.

Rules:
 1. Whoever opens a patch says how much memory it may take; one that asks for more is Malformed.
 2. Long streams are decoded as they are used, never whole; what they give is what was asked for, or Malformed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

import zstandard

from otad.delta.faults import Malformed
from otad.delta.format import START, Contents, Header, header_length, unpack_header, unpack_index
from otad.delta.streams import RECORD, WINDOW, Entry, Stream, inflated, unfold

PIECE = 1 << 17  # bytes read at a time


@dataclass(frozen=True)
class Patch:
    """An open patch. `segments`: where the first one begins."""

    file: BinaryIO
    header: Header
    contents: Contents
    segments: int

    @classmethod
    def opened(cls, file: BinaryIO, memory: int | None = None) -> Patch:
        """Read the head of `file`. `memory`: bytes that applying it may take; None: any. Raises Malformed."""
        start = START + header_length(_bytes(file, 0, START))
        header = unpack_header(_bytes(file, START, start - START))
        if memory is not None and header.memory > memory:
            raise Malformed(f"it takes {header.memory} bytes of memory, and {memory} may be used")
        contents = unpack_index(header, _bytes(file, start, header.index.stored))
        start += header.index.stored
        whole, length = start + sum(entry.stored for entry in contents.segments), os.fstat(file.fileno()).st_size
        if whole != length:
            raise Malformed(f"it has {length} bytes, and its index says {whole}")
        return cls(file, header, contents, start)

    def parts(self) -> Iterator[Part]:
        """Its segments in order."""
        at = self.segments
        for entry in self.contents.segments:
            yield Part(self.file, at, entry)
            at += entry.stored


class Part:
    """One segment: operations and controls decoded, diff and extra ready to be taken."""

    def __init__(self, file: BinaryIO, at: int, entry: Entry) -> None:
        self.entry = entry
        self.meta = inflated(_bytes(file, at, entry.meta.stored), entry.meta)
        at += entry.meta.stored
        self.planes = inflated(_bytes(file, at, entry.control.stored), entry.control)
        self._records = unfold(self.planes)
        at += entry.control.stored
        self.diff = Taken(file, at, entry.diff)
        self.extra = Taken(file, at + entry.diff.stored, entry.extra)

    def controls(self, first: int, count: int) -> bytes:
        """bsdiff4.core's records of controls `first` to `first + count`. Raises Malformed."""
        records = self._records[RECORD * first : RECORD * (first + count)]
        if len(records) != RECORD * count:
            raise Malformed(f"controls up to {first + count} are asked for, and {self.entry.controls} are there")
        return records

    def end(self) -> None:
        """Nothing may be left. Raises Malformed."""
        if self.diff.left or self.extra.left:
            raise Malformed(f"{self.diff.left} bytes of diff and {self.extra.left} of extra are left at the end of a segment")


class Taken:
    """A stream that is decoded as it is taken."""

    def __init__(self, file: BinaryIO, at: int, stream: Stream) -> None:
        self.left = stream.length
        frame = _Frame(file, at, stream.stored)
        self._reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(cast("IO[bytes]", frame), read_size=PIECE)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if not 0 <= count <= self.left:
            raise Malformed(f"{count} bytes of a stream are asked for, and {self.left} are left")
        self.left -= count
        try:
            found = self._reader.read(count) if count else b""
        except zstandard.ZstdError as error:
            raise Malformed(f"a stream cannot be decoded: {error}") from error
        if len(found) != count:
            raise Malformed("a stream ends before the index says so")
        return found


class _Frame:
    """`length` bytes at `at` of a file, as a file of their own."""

    def __init__(self, file: BinaryIO, at: int, length: int) -> None:
        self._file = file
        self._at = at
        self._end = at + length

    def read(self, count: int) -> bytes:
        """Up to `count` bytes."""
        found = os.pread(self._file.fileno(), min(count, self._end - self._at), self._at)
        self._at += len(found)
        return found


def _bytes(file: BinaryIO, at: int, count: int) -> bytes:
    found = os.pread(file.fileno(), count, at)
    if len(found) != count:
        raise Malformed("it ends too early")
    return found
