"""What operations read: the old image; and extents of it, or of the spool, one after the other.

Rules:
 1. A read gives all that was asked for, or a Fault: nothing lies behind the end.
 2. Of the image, nothing is read that was not hashed: operations read within the ranges of the index (see Hashed).
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from otad.delta.faults import Changed, Malformed
from otad.delta.ops import Extent

_ALIGN = 4096  # of O_DIRECT: no device has larger blocks
_AHEAD = 1 << 16  # bytes that are read at least
_PIECE = 1 << 20  # and at most


class Readable(Protocol):
    """Bytes with random access."""

    def read(self, at: int, count: int) -> bytes:
        """Exactly `count` bytes from `at`. Raises Malformed, Changed, Unreadable."""


def within(length: int, at: int, count: int) -> None:
    """Raises Malformed where a read of `count` bytes at `at` ends behind `length`."""
    if at + count > length:
        raise Malformed(f"it reads {count} bytes at {at} of an image of {length}")


class Image:
    """The first `length` bytes of an open file."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._length = length

    def read(self, at: int, count: int) -> bytes:
        """See Readable."""
        within(self._length, at, count)
        try:
            found = os.pread(self._file.fileno(), count, at)
        except OSError as error:
            raise Changed(f"the image cannot be read at byte {at}: {error.strerror}") from error
        if len(found) != count:
            raise Changed(f"the image ends before byte {at + count}, and had {self._length}")
        return found


class Medium:
    """The first `length` bytes of a block device that was opened with O_DIRECT: what is on it.

    A mount changes the device's pages in the cache, also one for reading only: ext4 notes there what its journal may contain.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._length = length
        self._piece = mmap.mmap(-1, _PIECE)  # aligned, as O_DIRECT needs
        self._at = self._held = 0

    def read(self, at: int, count: int) -> bytes:
        """See Readable."""
        within(self._length, at, count)
        found = BytesIO()
        while (done := found.tell()) < count:
            found.write(self._some(at + done, count - done))
        return found.getvalue()

    def _some(self, at: int, count: int) -> bytes:
        """Up to `count` bytes; what was read around them is kept, for the next read is mostly right behind."""
        if not self._at <= at < self._at + self._held:
            self._at, self._held = at - at % _ALIGN, 0
            wanted = min(max(at + count - self._at, _AHEAD), _PIECE)
            try:
                self._held = os.preadv(self._file.fileno(), [memoryview(self._piece)[: -(-wanted // _ALIGN) * _ALIGN]], self._at)
            except OSError as error:
                raise Changed(f"the image cannot be read at byte {at}: {error.strerror}") from error
            if self._at + self._held <= at:
                raise Changed(f"the image ends before byte {at + count}, and had {self._length}")
        start = at - self._at
        return self._piece[start : min(start + count, self._held)]


class Hashed:
    """What of `place` lies within `ranges`, which are in order and apart from each other."""

    def __init__(self, place: Readable, ranges: Sequence[Extent]) -> None:
        self._place = place
        self._starts = [one.at for one in ranges]
        self._ends = [one.at + one.length for one in ranges]

    def read(self, at: int, count: int) -> bytes:
        """See Readable."""
        which = bisect_right(self._starts, at) - 1
        if which < 0 or at + count > self._ends[which]:
            raise Malformed(f"it reads {count} bytes at {at} of the image, which are not within its ranges")
        return self._place.read(at, count)


@contextmanager
def opened(path: Path, length: int) -> Iterator[Readable]:
    """The old image: the beginning of a file, or of a block device. Raises Changed."""
    device = path.is_block_device()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if device else 0))
    except OSError as error:
        raise Changed(f"{path} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if (there := os.lseek(descriptor, 0, os.SEEK_END)) < length:  # a device has no other size
            raise Changed(f"{path} has {there} bytes, and the patch is for {length}")
        yield Medium(file, length) if device else Image(file, length)


class Joined:
    """Extents of a place, one after the other, as a file."""

    def __init__(self, place: Readable, extents: Iterable[Extent]) -> None:
        self._place = place
        self._rest = deque(extents)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes of one extent."""
        if not self._rest:
            return b""
        at, length = self._rest.popleft()
        if length > count:
            self._rest.appendleft(Extent(at + count, length - count))
        return self._place.read(at, min(count, length))


def gathered(place: Readable, extents: Sequence[Extent]) -> bytes:
    """All of them in memory, once."""
    if len(extents) == 1:
        return place.read(*extents[0])
    found, rest = BytesIO(), Joined(place, extents)
    while piece := rest.read(_PIECE):
        found.write(piece)
    return found.getvalue()
