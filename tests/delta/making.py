"""Patches made by hand, operation by operation: what a generator would not write, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bsdiff4.core

from otad.delta.format import Limits, New, Old
from otad.delta.index import Contents, head
from otad.delta.ops import Copy, Delta, Extent, Op, Raw, Unpack, Zero
from otad.delta.streams import Segment, pack

BLOCK = 1 << 16
PAYLOAD = hashlib.sha256(b"the bundle that brought the old image").hexdigest()
LIMITS = Limits(segment=1 << 22, frame=1 << 22, window=1 << 20, output=1 << 20, codecs=1 << 25, spool=1 << 21)


@dataclass
class Maker:
    """One segment that grows; `old` is the image."""

    old: bytes
    ops: list[Op] = field(default_factory=list)
    controls: bytes = b""
    diff: bytes = b""
    extra: bytes = b""

    def raw(self, data: bytes) -> Maker:
        """Literal bytes."""
        return self._with(Raw(len(data)), extra=data)

    def zero(self, length: int) -> Maker:
        """Zeros."""
        return self._with(Zero(length))

    def copy(self, at: int, length: int, *, spool: bool = False) -> Maker:
        """Bytes of the old image, or of the spool."""
        return self._with(Copy(length, at, spool))

    def delta(self, old: bytes, extents: Sequence[Extent], new: bytes, *, spool: bool = False) -> Maker:
        """`new` from `old`, which is what the extents hold."""
        controls, diff, extra = bsdiff4.core.diff(old, new)
        op = Delta(len(new), len(controls) // 24, tuple(extents), spool)
        return self._with(op, controls=controls, diff=diff, extra=extra)

    def same(self, length: int, extents: Sequence[Extent] = ()) -> Maker:
        """A DELTA over all of the old image, which is these extents, that adds nothing to its first bytes."""
        control = b"".join(map(bsdiff4.core.encode_int64, (length, 0, 0)))
        whole = tuple(extents) or (Extent(0, len(self.old)),)
        return self._with(Delta(length, 1, whole), controls=control, diff=bytes(length))

    def op(self, op: Op) -> Maker:
        """Any operation."""
        return self._with(op)

    def segment(self) -> Segment:
        """What is there so far."""
        return Segment(tuple(self.ops), self.controls, self.diff, self.extra)

    def _with(self, op: Op, *, controls: bytes = b"", diff: bytes = b"", extra: bytes = b"") -> Maker:
        self.ops.append(op)
        self.controls, self.diff, self.extra = self.controls + controls, self.diff + diff, self.extra + extra
        return self


def hashes(data: bytes, block: int = BLOCK) -> tuple[bytes, ...]:
    """One for each block."""
    return tuple(hashlib.sha256(data[at : at + block]).digest() for at in range(0, len(data), block))


def growing(data: bytes, block: int = BLOCK) -> tuple[bytes, ...]:
    """Of all up to the end of each block."""
    return tuple(hashlib.sha256(data[: at + block]).digest() for at in range(0, len(data), block))


def patch(
    old: bytes,
    new: bytes,
    segments: Iterable[Segment],
    *,
    pack_: Iterable[str] = (),
    unpack: Iterable[str] = (),
    limits: Limits = LIMITS,
    payload: str = PAYLOAD,
    ranges: Iterable[Extent] | None = None,
    block: int = BLOCK,
) -> bytes:
    """A whole patch. `ranges`: what it says that it reads; None: the truth."""
    segments = list(segments)
    packed = [pack(segment, level=3) for segment in segments]
    ranges = used(op for segment in segments for op in segment.ops) if ranges is None else tuple(ranges)
    joined = b"".join(old[at : at + length] for at, length in ranges)
    contents = Contents(ranges, hashes(joined, block), growing(new, block), tuple(entry for entry, _ in packed))
    source = Old(payload, len(old), hashlib.sha256(old).hexdigest())
    target = New(len(new), hashlib.sha256(new).hexdigest())
    start = head(source, target, block, limits, contents, pack_, unpack)
    return start + b"".join(stored for _, stored in packed)


def used(ops: Iterable[Op]) -> tuple[Extent, ...]:
    """The ranges of the image that operations read."""
    found: list[Extent] = []
    for op in ops:
        if isinstance(op, Copy) and not op.spool:
            found.append(Extent(op.at, op.length))
        if isinstance(op, Unpack) or (isinstance(op, Delta) and not op.spool):
            found += op.extents
    merged: list[Extent] = []
    for at, length in sorted(found):
        if merged and at <= merged[-1].at + merged[-1].length:
            first = merged.pop()
            merged.append(Extent(first.at, max(first.length, at + length - first.at)))
        else:
            merged.append(Extent(at, length))
    return tuple(merged)


def blob(folder: Path, data: bytes) -> Path:
    """`data` as a blob of the cache: named by its hash."""
    file = folder / hashlib.sha256(data).hexdigest()
    file.write_bytes(data)
    return file
