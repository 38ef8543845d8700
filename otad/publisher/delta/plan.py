"""What a delta is made of, before anything is compared: the content, cut into what is known and what must be searched for.

Rules:
 1. Every byte of the new image belongs to one piece; pieces come in its order.
 2. What stands in the old image block by block is copied, what is zero is told so. The rest is fresh: it is compared with the
    file that it is likely to have come from, or, where there is none, with what stood around the same place.
 3. Copies inside of a file that changed are kept apart only where they are long: a difference that goes through costs a few bytes
    where starting anew costs a search.
 4. A compressed file that can be made again is planned by what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from otad.delta.ops import Extent, Pack, Unpack
from otad.publisher.delta.blocks import Run
from otad.publisher.delta.ext4 import Extent as Place
from otad.publisher.delta.ext4 import File
from otad.publisher.delta.stretch import Stretch

SEARCH, BLIND, WINDOW = 1 << 20, 8 << 20, 16 << 20
"""Bytes of new content that are searched for at once, in files and where there are none; of old content where it is searched."""
LONG, NEAR = 1 << 20, 1 << 15
"""Bytes: copies between two changes that are at least this long are copies; inside of a file, and where there is none."""
NEXT, FAR = 1 << 18, 8
"""How far around the same place a search goes: NEXT bytes, and as many as were moved, up to FAR times what is looked for."""


@dataclass(frozen=True)
class Same:
    """`length` bytes stand at `old` of the old image; None: they are zero."""

    path: str
    length: int
    old: int | None


@dataclass(frozen=True)
class Around:
    """Steps around content: the spool is filled, a compressor begins."""

    path: str
    ops: tuple[Unpack | Pack, ...]


@dataclass(frozen=True)
class Fresh:
    """`new` is to be compared with `window`: parts of `old`, which is the old image, or (`spool`) the content of the spool."""

    path: str
    new: Stretch
    old: Stretch
    window: tuple[Extent, ...]
    spool: bool = False


Piece = Same | Around | Fresh


@dataclass(frozen=True)
class Repacked:
    """A compressed file of the new image: `content`, told from its beginning; what it is compared with, and where that lies.

    at, stored  where the compressed bytes stand in the file, and how many
    around      the steps before its content
    """

    at: int
    stored: int
    content: Stretch
    around: tuple[Unpack | Pack, ...]
    old: Stretch
    extents: tuple[Place, ...]
    spool: bool


@dataclass(frozen=True)
class Pair:
    """Both images. `older`: path of a new file -> the old one to compare it with; `repacked`: path -> how it is made again."""

    old: Stretch
    new: Stretch
    older: Mapping[str, File]
    repacked: Mapping[str, Repacked]


@dataclass(frozen=True)
class _Area:
    """Part of the new image that is one file's, which has `size` bytes, from `logical` of it on; or nobody's."""

    start: int
    end: int
    path: str = ""
    size: int = 0
    logical: int = 0


def pieces(pair: Pair, files: Sequence[File], runs: Iterable[Run]) -> Iterator[Piece]:
    """All of the new image, which has these files and runs."""
    for area, inside in _divided(_areas(files, pair.new.length), runs):
        if not any(run.fresh for run in inside):
            yield from (Same(area.path, run.length, None if run.zero else run.old) for run in inside)
        elif area.path in pair.repacked:
            yield from _repacked(pair, area, pair.repacked[area.path])
        else:
            search = _search(pair, area)
            groups = _grouped(inside, LONG if area.path else NEAR)
            yield from chain.from_iterable(_piece(pair, area.path, group, search) for group in groups)


def areas_of(files: Sequence[File], runs: Iterable[Run], length: int) -> set[str]:
    """Paths of the files that have something fresh."""
    divided = _divided(_areas(files, length), runs)
    return {area.path for area, inside in divided if any(run.fresh for run in inside)}


def _areas(files: Sequence[File], length: int) -> Iterator[_Area]:
    """All of an image, in order. What two files claim (in a damaged one) belongs to the one that begins first."""
    claimed = sorted((one.physical, one.length, file.path, file.size, one.logical) for file in files for one in file.extents)
    at = 0
    for start, count, path, size, logical in claimed:
        if start < at:
            continue
        if start > at:
            yield _Area(at, start)
        at = start + count
        yield _Area(start, at, path, size, logical)
    if at < length:
        yield _Area(at, length)


def _divided(areas: Iterable[_Area], runs: Iterable[Run]) -> Iterator[tuple[_Area, list[Run]]]:
    """The areas, and the runs in each."""
    waiting = iter(runs)
    run = next(waiting, None)
    for area in areas:
        inside: list[Run] = []
        while run and run.start < area.end:
            inside.append(run.part(area.start, area.end))
            if run.end > area.end:
                break
            run = next(waiting, None)
        yield area, inside


def _grouped(runs: Sequence[Run], long: int) -> Iterator[list[Run]]:
    """Runs that are told alone, and groups of fresh ones with what is short between them."""
    group: list[Run] = []
    for run in runs:
        if run.fresh or (group and run.length < long):
            group.append(run)
            continue
        yield from _ended(group)
        group = []
        yield [run]
    yield from _ended(group)


def _ended(group: list[Run]) -> Iterator[list[Run]]:
    """A group without what is known at its end."""
    last = max((at for at, run in enumerate(group) if run.fresh), default=-1)
    if last >= 0:
        yield group[: last + 1]
    yield from ([run] for run in group[last + 1 :])


def _piece(pair: Pair, path: str, group: Sequence[Run], search: _Search) -> Iterator[Piece]:
    first = group[0]
    if not first.fresh:
        yield Same(path, first.length, first.old)
        return
    yield from _fresh(pair, path, first.start, group[-1].end, search)


def _fresh(pair: Pair, path: str, start: int, end: int, search: _Search) -> Iterator[Fresh]:
    """`start` to `end` of the new image, as much as is looked for at once."""
    for at in range(start, end, search.step):
        length = min(search.step, end - at)
        yield Fresh(path, pair.new.part(at, length), pair.old, search.window(at, length))


def _repacked(pair: Pair, area: _Area, blob: Repacked) -> Iterator[Piece]:
    """What stands before the compressed bytes in the file, what they hold, and what follows them."""
    search = _search(pair, area)
    begin = area.start + blob.at
    yield from _fresh(pair, area.path, area.start, begin, search)
    yield Around(area.path, blob.around)
    inside = _Search(blob.extents, 0, blob.content.length)
    for start in range(0, blob.content.length, inside.step):
        length = min(inside.step, blob.content.length - start)
        yield Fresh(area.path, blob.content.part(start, length), blob.old, inside.window(start, length), blob.spool)
    yield from _fresh(pair, area.path, begin + blob.stored, area.end, search)


def _search(pair: Pair, area: _Area) -> _Search:
    file = pair.older.get(area.path)
    if file is None:
        return _Search((Place(0, 0, pair.old.length),), 0, pair.old.length, blind=True)
    return _Search(file.extents, area.logical - area.start, area.size)


@dataclass(frozen=True)
class _Search:
    """Where to look for what a part of an area of `length` bytes may have come from: around `shift` from the same place.

    blind   nothing is known of what was moved: by as much as is looked for, say
    """

    extents: tuple[Place, ...]
    shift: int
    length: int
    blind: bool = False

    @property
    def step(self) -> int:
        """Bytes to look for at once: the less, the cheaper, but each time all that is around has to be sorted."""
        return BLIND if self.blind else SEARCH

    def window(self, start: int, length: int) -> tuple[Extent, ...]:
        """For `length` bytes at `start` of the new image."""
        # What was inserted or taken away before them has moved them, by this much as a rule.
        moved = length if self.blind else abs(self.length - sum(one.length for one in self.extents))
        reach = min(NEXT + min(moved, FAR * length), (WINDOW - length) // 2)
        low, high = start + self.shift - reach, start + self.shift + length + reach
        cut = ((max(low, one.logical), min(high, one.logical + one.length), one) for one in self.extents)
        return tuple(Extent(one.physical + begin - one.logical, end - begin) for begin, end, one in cut if end > begin)
