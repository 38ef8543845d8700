"""A disk that keeps what was fsynced, and no more: files and folders as they are now, and as a power cut would find them. Pure.

Rules:
 1. fsync of a file makes its bytes durable, not its name; fsync of a folder makes the names in it durable, not their bytes.
    That is all that POSIX promises (fsync(2)); what a file system gives besides is luck, and nobody may count on it.
 2. Of bytes that were not fsynced a cut keeps each page or loses it, in any mix. A file that grew may be long and hold zeros.
 3. Of names that were not fsynced a cut keeps the first few changes of each folder. A rename is one change.
 4. `deaf` patterns name what this disk forgets although it was fsynced: a deliberate fault.
"""

from __future__ import annotations

import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

PAGE = 4096

Names = dict[bytes, "Node"]


@dataclass(eq=False)
class Node:
    """What has a mode, a place (below the disk's root, for people), and a time of its last change (ns)."""

    mode: int
    place: str = ""
    mtime: int = 0

    def sync(self) -> None:
        """Make it durable. A symbolic link or a socket is as durable as its name."""

    def copy(self, odds: float, rng: random.Random, lost: list[str]) -> Node:
        """It, as a cut leaves it: each thing that was not fsynced stays with `odds`. What went is added to `lost`."""
        del odds, rng, lost
        return self


@dataclass(eq=False)
class Link(Node):
    """A symbolic link."""

    target: bytes = b""


@dataclass(eq=False)
class File(Node):
    """Bytes: as they are `now`, as they are `kept`, and the pages that may differ."""

    now: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, data: bytes) -> None:
        """Bytes at an offset; a hole before them is zeros."""
        if offset > len(self.now):
            self.truncate(offset)
        self.now[offset : offset + len(data)] = data
        self.dirty.update(_pages(offset, offset + len(data)))

    def truncate(self, size: int) -> None:
        """Shorter, or longer with zeros."""
        self.dirty.update(_pages(min(size, len(self.now)), max(size, len(self.now))))
        _resize(self.now, size)

    def sync(self) -> None:
        """The bytes and the length."""
        self._carry(self.kept, self.dirty, len(self.now))
        self.dirty.clear()

    def copy(self, odds: float, rng: random.Random, lost: list[str]) -> File:
        """With those of the dirty pages that luck kept."""
        if not self.dirty:
            return File(self.mode, self.place, self.mtime, self.kept, bytearray(self.kept))
        survived = {page for page in self.dirty if rng.random() < odds}
        if len(survived) < len(self.dirty):
            lost.append(f"{self.place}: {len(self.dirty) - len(survived)} of {len(self.dirty)} pages")
        found = bytearray(self.kept)
        self._carry(found, survived, len(self.now) if rng.random() < odds else len(self.kept))
        return File(self.mode, self.place, self.mtime, found, bytearray(found))

    def _carry(self, into: bytearray, pages: set[int], size: int) -> None:
        _resize(into, size)
        for page in pages:
            piece = self.now[page * PAGE : min((page + 1) * PAGE, size)]
            into[page * PAGE : page * PAGE + len(piece)] = piece


@dataclass(eq=False)
class Folder(Node):
    """Names: as they are `now`, as they are `kept`, and the changes since, in order; None is a name that went."""

    now: Names = field(default_factory=dict)
    kept: Names = field(default_factory=dict)
    changes: list[dict[bytes, Node | None]] = field(default_factory=list)

    def change(self, change: dict[bytes, Node | None]) -> None:
        """Names come and go, all at once."""
        _apply(self.now, change)
        self.changes.append(change)
        for name, node in change.items():
            if node:
                node.place = f"{self.place}/{name.decode(errors='replace')}".lstrip("/")

    def sync(self) -> None:
        """The names in it."""
        self.kept = dict(self.now)
        self.changes.clear()

    def copy(self, odds: float, rng: random.Random, lost: list[str]) -> Folder:
        """With the first few of the changes."""
        survived = next((n for n in range(len(self.changes)) if rng.random() >= odds), len(self.changes))
        names = dict(self.kept)
        for change in self.changes[:survived]:
            _apply(names, change)
        if went := sorted({name.decode(errors="replace") for change in self.changes[survived:] for name in change}):
            lost.append(f"{self.place or '.'}/: {', '.join(went)}")
        found = {name: node.copy(odds, rng, lost) for name, node in names.items()}
        return Folder(self.mode, self.place, self.mtime, found, dict(found))


@dataclass
class Medium:
    """The whole disk."""

    root: Folder = field(default_factory=lambda: Folder(stat.S_IFDIR | 0o755))
    deaf: tuple[str, ...] = ()

    def sync(self, node: Node) -> None:
        """fsync, for those who are heard."""
        if not any(fnmatch(node.place, pattern) for pattern in self.deaf):
            node.sync()

    def settle(self) -> None:
        """Make all of it durable: how the disk left the factory."""
        for node in self.nodes(self.root):
            node.sync()

    def cut(self, odds: float, rng: random.Random) -> list[str]:
        """The power goes: what was not fsynced stays with `odds`, each for itself. What went, for people."""
        lost: list[str] = []
        self.root = self.root.copy(odds, rng, lost)
        return lost

    def nodes(self, node: Node) -> Iterator[Node]:
        """`node` and all that is below it now."""
        yield node
        for below in node.now.values() if isinstance(node, Folder) else ():
            yield from self.nodes(below)


def _pages(start: int, end: int) -> range:
    return range(start // PAGE, -(-end // PAGE))


def _resize(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _apply(names: Names, change: dict[bytes, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
