"""Where the bytes of a delta go: its ledger by operation and by place. Pure.

Rules:
 1. Every byte of the patch is in one place and in one operation: both add up to the whole patch.
 2. A place is a file or a folder that costs a part of the patch that is worth a line. What costs less is in the folder above it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from posixpath import dirname

from otad.publisher.delta.ledger import Ledger, Line

WORTH = 50
"""A place is named when it costs at least this part of the patch."""
HEAD = "head"
"""The operation that none is: the delta's own header and index."""
OWN = "(header and index)"
NOBODY = "(no file: metadata, free blocks)"
MAKING_NOTHING = ("unpack", "pack")  # what is told between them makes the bytes


@dataclass(frozen=True)
class Share:
    """Bytes that a place or an operation makes of the target, and costs of the patch. `mostly`: the dearest operation there."""

    name: str
    makes: int
    costs: int
    mostly: str


@dataclass(frozen=True)
class Explained:
    """A patch of `length` bytes; operations and places with the dearest first. `notes`: what was not understood, in words."""

    length: int
    operations: tuple[Share, ...]
    places: tuple[Share, ...]
    notes: tuple[str, ...]


def explained(ledger: Ledger, length: int, worth: int = WORTH) -> Explained:
    """What became of one pair, whose patch has `length` bytes."""
    head = Line(OWN, HEAD, 0, length - sum(line.costs for line in ledger.lines))
    place = _places(ledger.lines, length // worth)
    operations = _shares((line.operation, line) for line in (*ledger.lines, head))
    places = _shares([(OWN, head), *((place[line.path], line) for line in ledger.lines)])
    return Explained(length, operations, places, ledger.notes)


def _places(lines: Iterable[Line], least: int) -> Mapping[str, str]:
    """Path -> the place that it is told in: itself, or the next folder above that has, with what is left to it, `least` bytes."""
    left: Counter[str] = Counter()
    for line in lines:
        left[line.path] += line.costs
    above = {"": NOBODY}
    folders: set[str] = set()
    for depth in range(max(map(_depth, left), default=0), 0, -1):
        for path in [path for path in left if _depth(path) == depth and left[path] < least]:
            above[path] = dirname(path)
            left[dirname(path)] += left[path]
            folders.add(dirname(path))
    names = {path: f"{path.rstrip('/')}/" if path in folders else path for path in left}
    return {path: _place(path, above, names) for path in left}


def _place(path: str, above: Mapping[str, str], names: Mapping[str, str]) -> str:
    while path in above:
        path = above[path]
    return names.get(path, path)


def _depth(path: str) -> int:
    """0: the root, and what is no file."""
    return len(path.split("/")) - 1 if path.strip("/") else 0


def _shares(lines: Iterable[tuple[str, Line]]) -> tuple[Share, ...]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for name, line in lines:
        groups[name].append(line)
    shares = [_share(name, group) for name, group in groups.items()]
    return tuple(sorted(shares, key=lambda share: (-share.costs, -share.makes, share.name)))


def _share(name: str, lines: Iterable[Line]) -> Share:
    costs: Counter[str] = Counter()
    makes = 0
    for line in lines:
        costs[line.operation] += line.costs
        makes += 0 if line.operation in MAKING_NOTHING else line.makes
    return Share(name, makes, costs.total(), max(costs, key=lambda operation: costs[operation]))
