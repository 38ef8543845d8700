"""One segment of a delta, made in a process of its own: compared, compressed, and what it cost.

Rules:
 1. What goes in and what comes out is small: places in files, and compressed bytes. So any number of processes can work.
 2. The same pieces give the same segment, wherever and whenever it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from otad.delta.ops import Copy, Delta, Extent, Op, Unpack, Zero
from otad.delta.streams import Entry, Segment, pack
from otad.publisher.delta import compare
from otad.publisher.delta.compare import Candidate, Step
from otad.publisher.delta.covers import Engine
from otad.publisher.delta.ledger import Line
from otad.publisher.delta.plan import Around, Fresh, Piece, Same

MEMORY = 14 << 20
"""Bytes of a segment's decoded streams, about: with all else that a device holds it is below 64 MiB."""
EACH = 512
"""Bytes of fresh content for each operation that it becomes, at least: a copy ends with an old block, or is LONG."""
FEW = 8  # part of the new bytes: what costs less is not weighed against anything else


@dataclass(frozen=True)
class Done:
    """A segment. reads: the parts of the old image that it needs; window, output: the most that one DELTA reads and makes."""

    entry: Entry
    data: bytes
    reads: tuple[Extent, ...]
    window: int
    output: int
    lines: tuple[Line, ...]


def done(pieces: Sequence[Piece], engine: Engine, level: int) -> list[Done]:
    """What makes `pieces`, compressed at zstd's `level`: one segment, or more where very many differences were found."""
    steps = [(piece.path, one) for piece in pieces for one in _steps(piece, engine)]
    return [_done(part, level) for part in _fitting(steps)]


def _fitting(steps: Sequence[tuple[str, Step]]) -> Iterator[Sequence[tuple[str, Step]]]:
    """Parts of `steps`, each of at most MEMORY, or one step."""
    start = held = 0
    for at, (_, one) in enumerate(steps):
        if held and held + one.memory > MEMORY:
            yield steps[start:at]
            start, held = at, 0
        held += one.memory
    yield steps[start:]


def _done(made: Sequence[tuple[str, Step]], level: int) -> Done:
    ops = tuple(one.op for _, one in made)
    streams = (b"".join(getattr(one, stream) for _, one in made) for stream in ("controls", "diff", "extra"))
    entry, data = pack(Segment(ops, *streams), level)
    deltas = [op for op in ops if isinstance(op, Delta)]
    return Done(
        entry,
        data,
        tuple(extent for op in ops for extent in _reads(op)),
        max((sum(extent.length for extent in op.extents) for op in deltas), default=0),
        max((op.length for op in deltas), default=0),
        tuple(_lines(made, len(data))),
    )


def most(piece: Piece) -> int:
    """No fewer operations than `piece` becomes."""
    if isinstance(piece, Fresh):
        return 2 + piece.new.length // EACH
    return len(piece.ops) if isinstance(piece, Around) else 1


def _steps(piece: Piece, engine: Engine) -> list[Step]:
    if isinstance(piece, Same):
        return [Step(Zero(piece.length) if piece.old is None else Copy(piece.length, piece.old))]
    if isinstance(piece, Around):
        return [Step(op) for op in piece.ops]
    new = piece.new[:]
    if not piece.window:
        return compare.raw(new)
    made = compare.compared(new, Candidate(piece.window, piece.old.joined(piece.window), piece.spool), engine)
    return min(made, compare.raw(new), key=compare.cost) if compare.cost(made) > len(new) // FEW else made


def _reads(op: Op) -> tuple[Extent, ...]:
    if isinstance(op, Copy) and not op.spool:
        return (Extent(op.at, op.length),)
    return op.extents if isinstance(op, Unpack) or (isinstance(op, Delta) and not op.spool) else ()


def _lines(made: Sequence[tuple[str, Step]], stored: int) -> list[Line]:
    """`stored` bytes, shared among the operations by what each would take alone."""
    shares = [compare.cost([one]) + 1 for _, one in made]
    every = sum(shares)
    ends = [stored * sum_ // every for sum_ in accumulate(shares)]
    costs = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return [Line(path, type(one.op).__name__.lower(), one.op.length, cost) for (path, one), cost in zip(made, costs, strict=True)]
