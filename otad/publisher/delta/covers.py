"""Which parts of new bytes are like which parts of old bytes: the engines that search, behind one function.

Rules:
 1. An engine only proposes covers. What they make of the new bytes is worked out here, and the same for every engine.
 2. Covers come in the order of the new bytes and do not overlap there. Bytes between them are new.
 3. bsdiff4 always works. hdiffpatch (the extra `otad[delta]`) searches with a fraction of its time and memory, and is taken where
    it is installed.

What an engine needs beside old and new: bsdiff4 17 bytes for each old byte, hdiffpatch 5 to 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

import bsdiff4.core

from otad.delta.ops import Extent

try:
    import hdiffpatch
except ImportError:  # an extra
    hdiffpatch = None  # type: ignore[assignment]

NEGATIVE = 1 << 63  # bsdiff's integers are sign and magnitude
_CONTROL = Struct("<3Q")  # bytes to add, bytes to insert, bytes to skip in the old ones
_NEGATED = bytes(-byte & 0xFF for byte in range(256))
_HDIFF = b"HDIFF13&\0"  # its format, when nothing is compressed: libHDiffPatch/HPatch/patch.c, read_diffz_head
_HDIFF_SIZES = 8  # of the four parts of a diff, each plain and compressed


class Cover(NamedTuple):
    """`length` bytes at `new` are like those at `old`; both in bytes from the beginning."""

    new: int
    old: int
    length: int

    @property
    def read(self) -> Extent:
        """What it reads of the old bytes."""
        return Extent(self.old, self.length)


Engine = Callable[[bytes, bytes], Sequence[Cover]]
"""Called with (old, new)."""


def by_bsdiff(old: bytes, new: bytes) -> Sequence[Cover]:
    """Engine: suffix sorting, bsdiff's own."""
    control, _diff, _extra = bsdiff4.core.diff(old, new)
    covers, at_new, at_old = [], 0, 0
    for add, insert, skip in _CONTROL.iter_unpack(control):
        if add:
            covers.append(Cover(at_new, at_old, add))
        at_new += add + insert
        at_old += add - (skip - NEGATIVE) if skip & NEGATIVE else add + skip
    return covers


def by_hdiffpatch(old: bytes, new: bytes) -> Sequence[Cover]:
    """Engine: HDiffPatch, of whose diff only the covers are read."""
    diff = hdiffpatch.diff(old, new, validate=False)
    if not diff.startswith(_HDIFF):
        raise RuntimeError(f"hdiffpatch made a diff that begins with {diff[:9]!r}, not {_HDIFF!r}")
    numbers = _Numbers(diff, len(_HDIFF))
    _new_size, _old_size, count, *_sizes = [numbers.next() for _ in range(3 + _HDIFF_SIZES)]
    covers, at_new, at_old = [], 0, 0
    for _ in range(count):
        backward, step = numbers.signed()
        at_old += -step if backward else step
        at_new += numbers.next()
        length = numbers.next()
        covers.append(Cover(at_new, at_old, length))
        at_new, at_old = at_new + length, at_old + length
    return covers


BEST: Engine = by_hdiffpatch if hdiffpatch else by_bsdiff


def difference(old: bytes, new: bytes, covers: Sequence[Cover]) -> bytes:
    """New minus old, byte by byte, of all covers, one after the other.

    bsdiff4 has the addition only, in C: what is added here is what is new, to what is old with its sign changed.
    """
    if not covers:
        return b""
    starts = [(cover.old, cover.length) for cover in covers]
    follows = [*(start for start, _ in starts[1:]), starts[-1][0] + starts[-1][1]]
    control = [
        _CONTROL.pack(length, 0, _signed(then - (at + length))) for (at, length), then in zip(starts, follows, strict=True)
    ]
    control.insert(0, _CONTROL.pack(0, 0, _signed(starts[0][0])))
    added = b"".join(new[cover.new : cover.new + cover.length] for cover in covers)
    result: bytes = bsdiff4.core.patch(old.translate(_NEGATED), len(added), b"".join(control), added, b"")
    return result


def _signed(value: int) -> int:
    return value if value >= 0 else NEGATIVE | -value


class _Numbers:
    """HDiffPatch's integers: seven bits a byte, the highest first; the top bit says that more follow."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def next(self) -> int:
        return self._rest(0, 0x80)

    def signed(self) -> tuple[bool, int]:
        """The first byte has the sign in its top bit, and its "more follow" one below."""
        sign = bool(self._data[self._at] & 0x80)
        return sign, self._rest(0, 0x40)

    def _rest(self, value: int, more: int) -> int:
        while True:
            byte = self._data[self._at]
            self._at += 1
            value = value << 7 | byte & (more - 1)
            if not byte & more:
                return value
            more = 0x80
