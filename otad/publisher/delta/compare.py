"""New bytes, compared with old ones: the operations that make them, and what these operations read.

Rules:
 1. An operation makes at most OUTPUT bytes and reads at most what was compared: a device has to hold both.
 2. It names only those parts of the old bytes that it uses: what it does not name may change, and the delta still applies.
 3. Long parts in which nothing differs are copied: sums with nothing cost a device more than the copy.
 4. `cost` tells which of several ways travels best; new bytes as they are, are one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, islice, takewhile
from operator import attrgetter
from struct import Struct

import zstandard

from otad.delta.ops import EXTENTS, Copy, Delta, Extent, Op, Raw
from otad.publisher.delta.covers import NEGATIVE, Cover, Engine, difference

OUTPUT = 1 << 20
LONG = 1 << 14
"""Bytes: what is at least as long is worth an operation of its own."""
PAGE = 4096  # parts of the old bytes that are nearer to each other than this are read as one
_CONTROL = Struct("<3Q")


@dataclass(frozen=True)
class Step:
    """An operation and what it adds to the streams of its segment."""

    op: Op
    controls: bytes = b""
    diff: bytes = b""
    extra: bytes = b""

    @property
    def memory(self) -> int:
        """Bytes that a device holds for it: see `Entry.memory`. What the operation itself takes is little."""
        return 2 * len(self.controls) + len(self.diff) + len(self.extra)


@dataclass(frozen=True)
class Candidate:
    """Old bytes: `extents` of the image, or of the spool, joined."""

    extents: tuple[Extent, ...]
    data: bytes
    spool: bool = False


def raw(new: bytes) -> list[Step]:
    """New bytes as they are."""
    return [Step(Raw(len(new)), extra=new)]


def compared(new: bytes, candidate: Candidate, engine: Engine) -> list[Step]:
    """`new`, made from `candidate`."""
    covers = engine(candidate.data, new)
    made, at = [], 0
    for same in (part for cover in covers for part in _alike(new, candidate.data, cover)):
        made += _deltas(new, at, same.new, covers, candidate)
        made += (Step(Copy(length, place, candidate.spool)) for place, length in _placed([same.read], candidate.extents))
        at = same.new + same.length
    return made + _deltas(new, at, len(new), covers, candidate)


def cost(made: Iterable[Step]) -> int:
    """About how many bytes travel."""
    small = zstandard.ZstdCompressor(level=3)
    return sum(len(small.compress(stream)) for one in made for stream in (one.controls, one.diff, one.extra) if stream)


def _alike(new: bytes, old: bytes, cover: Cover) -> Iterator[Cover]:
    """The long parts of a cover in which nothing differs."""

    def equal(at: int) -> bool:
        return new[cover.new + at : cover.new + at + PAGE] == old[cover.old + at : cover.old + at + PAGE]

    if cover.length >= LONG:
        for same, pages in groupby(range(0, cover.length - PAGE + 1, PAGE), equal):
            first, *rest = pages
            length = PAGE * (1 + len(rest))
            if same and length >= LONG:
                yield Cover(cover.new + first, cover.old + first, length)


def _deltas(new: bytes, start: int, end: int, covers: Sequence[Cover], candidate: Candidate) -> list[Step]:
    """`start` to `end` of the new bytes, whatever they are."""
    bounds = ((at, min(at + OUTPUT, end)) for at in range(start, end, OUTPUT))
    return [_delta(new[low:high], _cut(covers, low, high), candidate) for low, high in bounds]


def _cut(covers: Sequence[Cover], start: int, end: int) -> list[Cover]:
    """What of the covers lies in `start` to `end`, told from `start`."""
    first = max(0, bisect_right(covers, start, key=attrgetter("new")) - 1)
    inside = takewhile(lambda one: one.new < end, islice(covers, first, None))
    parts = ((max(one.new, start), min(one.new + one.length, end), one) for one in inside)
    return [Cover(low - start, one.old + low - one.new, high - low) for low, high, one in parts if high > low]


def _delta(new: bytes, covers: list[Cover], candidate: Candidate) -> Step:
    literal = Step(Raw(len(new)), extra=new)
    if not covers:
        return literal
    used = _used(covers)
    old = b"".join(candidate.data[at : at + length] for at, length in used)
    moved = _moved(covers, used)
    extents = tuple(_placed(used, candidate.extents))
    if len(extents) > EXTENTS:  # a file in more pieces than an operation can name
        return literal
    controls = b"".join(_controls(moved, len(new)))
    fresh = b"".join(new[start:end] for start, end in _between(moved, len(new)))
    op = Delta(len(new), len(controls) // _CONTROL.size, extents, candidate.spool)
    return Step(op, controls, difference(old, new, moved), fresh)


def _used(covers: Iterable[Cover]) -> list[Extent]:
    """The parts of the old bytes that `covers` read, in order, with what is little between them."""
    used: list[Extent] = []
    for at, length in sorted(cover.read for cover in covers):
        if used and at <= used[-1].at + used[-1].length + PAGE:
            last = used[-1]
            used[-1] = Extent(last.at, max(last.length, at + length - last.at))
        else:
            used.append(Extent(at, length))
    return used


def _moved(covers: Sequence[Cover], used: Sequence[Extent]) -> list[Cover]:
    """The covers, told of the used parts joined."""
    starts = [0, *accumulate(length for _, length in used)]
    places = [part.at for part in used]
    which = [bisect_right(places, cover.old) - 1 for cover in covers]
    return [Cover(cover.new, cover.old - places[at] + starts[at], cover.length) for cover, at in zip(covers, which, strict=True)]


def _placed(used: Iterable[Extent], extents: Sequence[Extent]) -> Iterator[Extent]:
    """Where the used parts of the joined `extents` lie."""
    starts = [0, *accumulate(length for _, length in extents)]
    for at, length in used:
        for (place, size), start in zip(extents, starts, strict=False):
            low, high = max(at, start), min(at + length, start + size)
            if high > low:
                yield Extent(place + low - start, high - low)


def _between(covers: Sequence[Cover], length: int) -> Iterator[tuple[int, int]]:
    """Where the new bytes are new: before, between and after the covers."""
    bounds = [0, *(bound for cover in covers for bound in (cover.new, cover.new + cover.length)), length]
    return ((bounds[at], bounds[at + 1]) for at in range(0, len(bounds), 2))


def _controls(covers: Sequence[Cover], length: int) -> Iterator[bytes]:
    """bsdiff's: bytes to add, bytes to insert, bytes to move on in the old ones."""
    gaps = [end - start for start, end in _between(covers, length)]
    first = covers[0]
    if gaps[0] or first.old:
        yield _CONTROL.pack(0, gaps[0], first.old)
    for cover, gap, following in zip(covers, gaps[1:], [*covers[1:], None], strict=True):
        seek = following.old - cover.old - cover.length if following else 0
        yield _CONTROL.pack(cover.length, gap, seek if seek >= 0 else NEGATIVE | -seek)
