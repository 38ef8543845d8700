"""Parts of files, read where they lie: nothing is mapped, so memory is what is asked for and no more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from otad.delta.ops import Extent


class Reading:
    """An open stretch. Slices as bytes do."""

    def __init__(self, descriptor: int, at: int, length: int) -> None:
        self._descriptor = descriptor
        self._at = at
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> bytes:
        start, end, _step = part.indices(self._length)
        return os.pread(self._descriptor, max(0, end - start), self._at + start)


@dataclass(frozen=True)
class Stretch:
    """`length` bytes from `at` of a file. Slices as bytes do."""

    file: Path
    at: int
    length: int

    @classmethod
    def whole(cls, file: Path) -> Stretch:
        """All of a file."""
        return cls(file, 0, file.stat().st_size)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """For many reads."""
        descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Reading(descriptor, self.at, self.length)
        finally:
            os.close(descriptor)

    def __getitem__(self, part: slice, /) -> bytes:
        with self.reading() as reading:
            return reading[part]

    def part(self, at: int, length: int) -> Stretch:
        """A stretch of this stretch."""
        return Stretch(self.file, self.at + at, length)

    def joined(self, extents: Iterable[Extent]) -> bytes:
        """Several parts, one after the other."""
        with self.reading() as reading:
            return b"".join(reading[at : at + length] for at, length in extents)
