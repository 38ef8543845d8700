"""A patch as a file: its head, refused before anything is allocated for it, and its segments' streams.

Rules:
 1. Whoever opens a patch says how much memory it may take; one that asks for more is Malformed.
 2. A segment is decoded whole, for the header declares that; what is taken of its streams is there, or Malformed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct
from typing import BinaryIO

from otad.delta.faults import Malformed
from otad.delta.format import START, Header, header_length, unpack_header
from otad.delta.index import Contents, unpack_index
from otad.delta.streams import RECORD, Entry, inflated, unfold

_ADD = Struct(f"<Q{RECORD - 8}x")  # the first number of a record


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
    """One segment, decoded; what operations take of its streams is taken in order."""

    def __init__(self, file: BinaryIO, at: int, entry: Entry) -> None:
        self.entry = entry
        decoded = _decoded(file, at, entry)
        self.meta = next(decoded)
        self._records = memoryview(unfold(next(decoded)))  # the planes are gone before diff and extra come
        self._diff, self._extra = decoded
        self._control = self._added = self._copied = 0  # controls, bytes of diff and bytes of extra that were taken

    def delta(self, length: int, controls: int) -> tuple[bytes, bytes, bytes]:
        """What a DELTA needs beside old bytes: bsdiff4.core's records, diff, extra. Raises Malformed."""
        first, last = self._control, self._control + controls
        if last > self.entry.controls:
            raise Malformed(f"{last} controls are asked for, and {self.entry.controls} are there")
        records = self._records[RECORD * first : RECORD * last].tobytes()
        low, high = self._added, self._added + sum(map(itemgetter(0), _ADD.iter_unpack(records)))
        if high > len(self._diff) or high - low > length:
            raise Malformed("controls add more than there is in diff, or than their DELTA makes")
        self._control, self._added = last, high
        return records, self._diff[low:high], self.raw(length - (high - low))

    def raw(self, count: int) -> bytes:
        """The next bytes of extra. Raises Malformed."""
        first, self._copied = self._copied, self._copied + count
        if self._copied > len(self._extra):
            raise Malformed(f"{count} bytes of extra are asked for, and {len(self._extra) - first} are left")
        return self._extra[first : self._copied]

    def end(self) -> None:
        """Nothing may be left. Raises Malformed."""
        left = self.entry.controls - self._control, len(self._diff) - self._added, len(self._extra) - self._copied
        if any(left):
            raise Malformed("{} controls, {} bytes of diff and {} of extra are left at the end of a segment".format(*left))


def _decoded(file: BinaryIO, at: int, entry: Entry) -> Iterator[bytes]:
    """The four streams. One frame is held at a time."""
    for stream in entry.streams:
        yield inflated(_bytes(file, at, stream.stored), stream)
        at += stream.stored


def _bytes(file: BinaryIO, at: int, count: int) -> bytes:
    found = os.pread(file.fileno(), count, at)
    if len(found) != count:
        raise Malformed("it ends too early")
    return found
