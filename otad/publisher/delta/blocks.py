"""Which blocks of a new image stand somewhere in the old one, byte for byte, and which are all zero.

Rules:
 1. A match is compared byte by byte, never taken from a hash.
 2. A block that follows on from the last match is looked for there first: so runs are as long as they can be.
 3. Memory: about 120 bytes for each different block of the old image (30 MiB for each GiB with blocks of 4 KiB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from otad.publisher.delta.ext4 import Image
from otad.publisher.encode import Progress, quiet

PIECE = 1 << 20


@dataclass(frozen=True)
class Run:
    """`length` bytes at `start` of the new image: at `old` of the old one; zeros (`zero`); or neither, and so new."""

    start: int
    length: int
    old: int | None = None
    zero: bool = False

    @property
    def end(self) -> int:
        """Where the next begins."""
        return self.start + self.length

    @property
    def fresh(self) -> bool:
        """Whether no block of the old image is like it."""
        return self.old is None and not self.zero

    def part(self, start: int, end: int) -> Run:
        """What of it lies between."""
        start, end = max(start, self.start), min(end, self.end)
        return Run(start, end - start, None if self.old is None else self.old + start - self.start, self.zero)


def runs(old: Image, new: Image, block: int, progress: Progress = quiet) -> Iterator[Run]:
    """All of `new`, in order, in runs as long as they can be. `block`: bytes, a power of two."""
    tell = partial(progress, "looking for what is the same")
    at = _index(old, block, lambda done: tell(done, len(old) + len(new)))
    zeros = bytes(block)
    last = Run(0, 0)
    for start, data in _blocks(new, block, lambda done: tell(len(old) + done, len(old) + len(new))):
        if data == zeros[: len(data)]:
            this = Run(start, len(data), zero=True)
        else:
            this = Run(start, len(data), _found(old, at, data, last))
        if last.length and not _follows(this, last):
            yield last
            last = this
        else:
            last = Run(last.start, this.end - last.start, this.old if not last.length else last.old, this.zero)
    if last.length:
        yield last


def _index(old: Image, block: int, tell: Callable[[int], None]) -> dict[int, int]:
    """Hash of a block -> where it first stands."""
    at: dict[int, int] = {}
    for start, data in _blocks(old, block, tell):
        if len(data) == block:
            at.setdefault(hash(data), start)
    return at


def _blocks(image: Image, block: int, tell: Callable[[int], None]) -> Iterator[tuple[int, bytes]]:
    """Every block and where it stands; the last one may be short. `tell`: how many bytes were looked at."""
    for piece in range(0, len(image), PIECE):
        tell(piece)
        data = image[piece : piece + PIECE]
        yield from ((piece + at, data[at : at + block]) for at in range(0, len(data), block))


def _found(old: Image, at: dict[int, int], data: bytes, last: Run) -> int | None:
    if last.old is not None and old[last.old + last.length : last.old + last.length + len(data)] == data:
        return last.old + last.length
    start = at.get(hash(data))
    return start if start is not None and old[start : start + len(data)] == data else None


def _follows(this: Run, last: Run) -> bool:
    if this.zero or last.zero:
        return this.zero and last.zero
    if this.old is None or last.old is None:
        return this.old is last.old
    return this.old == last.old + last.length
