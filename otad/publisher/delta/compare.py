"""New bytes, compared with old ones: the operations that make them, and what these operations read.

Rules:
 1. An operation makes at most OUTPUT bytes and reads at most what was compared: a device has to hold both.
 2. It names only those parts of the old bytes that it uses: what it does not name may change, and the delta still applies.
 3. `cost` tells which of several ways travels best; new bytes as they are, are one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct

import zstandard

from otad.delta.ops import EXTENTS, Delta, Extent, Op, Raw
from otad.publisher.delta.covers import NEGATIVE, Cover, Engine, difference

OUTPUT = 2 << 20
PAGE = 4096  # parts of the old bytes that are nearer to each other than this are read as one
_CONTROL = Struct("<3Q")


@dataclass(frozen=True)
class Made:
    """An operation and what it adds to the streams of its segment."""

    op: Op
    controls: bytes = b""
    diff: bytes = b""
    extra: bytes = b""

    @property
    def stream(self) -> int:
        """Bytes of the segment's decoded streams."""
        return len(self.controls) + len(self.diff) + len(self.extra)


@dataclass(frozen=True)
class Candidate:
    """Old bytes: `extents` of the image, or of the spool, joined."""

    extents: tuple[Extent, ...]
    data: bytes
    spool: bool = False


def raw(new: bytes) -> list[Made]:
    """New bytes as they are."""
    return [Made(Raw(len(new)), extra=new)]


def compared(new: bytes, candidate: Candidate, engine: Engine) -> list[Made]:
    """`new`, made from `candidate`."""
    covers = engine(candidate.data, new)
    cut = (_cut(covers, at, min(at + OUTPUT, len(new))) for at in range(0, len(new), OUTPUT))
    return [
        _made(new[at : at + OUTPUT], part, candidate)
        if part
        else Made(Raw(len(new[at : at + OUTPUT])), extra=new[at : at + OUTPUT])
        for at, part in zip(range(0, len(new), OUTPUT), cut, strict=True)
    ]


def cost(made: Iterable[Made]) -> int:
    """About how many bytes travel."""
    small = zstandard.ZstdCompressor(level=3)
    return sum(len(small.compress(stream)) for one in made for stream in (one.controls, one.diff, one.extra) if stream)


def _cut(covers: Sequence[Cover], start: int, end: int) -> list[Cover]:
    """What of the covers lies in `start` to `end`, told from `start`."""
    parts = ((max(one.new, start), min(one.new + one.length, end), one) for one in covers)
    return [Cover(low - start, one.old + low - one.new, high - low) for low, high, one in parts if high > low]


def _made(new: bytes, covers: list[Cover], candidate: Candidate) -> Made:
    used = _used(covers)
    old = b"".join(candidate.data[at : at + length] for at, length in used)
    moved = _moved(covers, used)
    extents = tuple(_placed(used, candidate.extents))
    if len(extents) > EXTENTS:  # a file in more pieces than an operation can name
        return Made(Raw(len(new)), extra=new)
    controls = b"".join(_controls(moved, len(new)))
    fresh = b"".join(new[start:end] for start, end in _between(moved, len(new)))
    op = Delta(len(new), len(controls) // _CONTROL.size, extents, candidate.spool)
    return Made(op, controls, difference(old, new, moved), fresh)


def _used(covers: Iterable[Cover]) -> list[Extent]:
    """The parts of the old bytes that `covers` read, in order, with what is little between them."""
    used: list[Extent] = []
    for at, length in sorted((cover.old, cover.length) for cover in covers):
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
