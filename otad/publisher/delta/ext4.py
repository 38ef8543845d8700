"""Where the files of an ext4 image lie in it: read from the image's own bytes, without mounting it, and without root.

Rules:
 1. What is read here is a hint. A wrong one makes a delta larger, never wrong: it is decoded before it is published.
 2. Every number is checked before it is used: an image that contradicts itself is refused in words, whatever stands in it.
 3. Only what has blocks of its own is listed: each inode once, under the first of its names (hard links are one file). Holes,
    unwritten extents, files in their inodes and files that are mapped by lists of blocks are nobody's, and are left out.

The layout: the kernel's Documentation/filesystems/ext4. All numbers are little endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

MAGIC = 0xEF53
SUPERBLOCK = 1024  # bytes before it, and in it
ROOT = 2
LARGEST = 4096  # bytes of a block, on what Jetsons boot: larger ones need larger pages
DEPTH = 5  # levels of an extent tree, at most
_EXTENTS, _INLINE = 0x80000, 0x10000000  # flags of an inode
_REGULAR, _DIRECTORY = 0x8, 0x4  # the top four bits of a mode
_TREES, _64BIT = 0x40, 0x80  # features of a file system: extents, block numbers of 64 bits
#          filetype, recover, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data, encrypt, casefold
UNDERSTOOD = 0x2 | 0x4 | _TREES | _64BIT | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
UNWRITTEN = 32768  # an extent of more blocks than this is one of that many less, which holds nothing yet

_HEADER = Struct("<HHHHI")  # of an extent node: magic, entries, max, depth, generation
_EXTENT = Struct("<IHHI")  # logical block, blocks, start (high 16 bits), start (low 32 bits)
_INDEX = Struct("<IIHH")  # logical block, child (low 32 bits), child (high 16 bits), unused
_ENTRY = Struct("<IHBB")  # of a directory: inode, bytes to the next, bytes of the name, type
_NODE = 0xF30A


class Image(Protocol):
    """Bytes that can be read at random: an open mmap, or bytes."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...


class Unreadable(ValueError):
    """The image is no ext4 that can be read, and why."""


@dataclass(frozen=True)
class Extent:
    """`length` bytes of a file, from `logical` on, lie at `physical` of the image."""

    logical: int
    physical: int
    length: int


@dataclass(frozen=True)
class File:
    """A regular file or a directory of `size` bytes. `extents` rise, are whole blocks, and end with the block that it ends in."""

    path: str
    size: int
    extents: tuple[Extent, ...]
    directory: bool = False

    @property
    def whole(self) -> bool:
        """Whether the extents are all of its bytes: no hole, nothing unwritten."""
        return sum(extent.length for extent in self.extents) >= self.size


@dataclass(frozen=True)
class _Inode:
    number: int
    kind: int
    size: int
    flags: int
    root: bytes  # 60 bytes: the root of the extent tree


@dataclass(frozen=True)
class FileSystem:
    """What an image holds. block: bytes; files: every file and directory that has blocks, in the order of their paths."""

    block: int
    files: tuple[File, ...]


def read(image: Image) -> FileSystem:
    """Raises Unreadable."""
    found = _Ext4(image)
    return FileSystem(found.block, tuple(sorted(found.walk(), key=lambda file: file.path)))


class _Ext4:
    def __init__(self, image: Image) -> None:
        self._image = image
        head = image[SUPERBLOCK : 2 * SUPERBLOCK]
        if len(head) < SUPERBLOCK or _number(head, 0x38, 2) != MAGIC:
            raise Unreadable("it has no ext4 superblock")
        features = _number(head, 0x60, 4)
        if unknown := features & ~UNDERSTOOD:
            raise Unreadable(f"it uses features of ext4 that are not read here (incompat {unknown:#x})")
        if not features & _TREES:
            raise Unreadable("its files have no extents: it is ext2 or ext3")
        if 1024 << min(16, _number(head, 0x18, 4)) > LARGEST:
            raise Unreadable(f"its blocks are larger than {LARGEST} bytes")
        self.block = 1024 << _number(head, 0x18, 4)
        self.blocks = _number(head, 0x4, 4) | (_number(head, 0x150, 4) << 32 if features & _64BIT else 0)
        self._inodes, self._per_group = _number(head, 0, 4), _number(head, 0x28, 4)
        self._inode_size = _number(head, 0x58, 2) if _number(head, 0x4C, 4) else 128
        self._descriptor_size = _number(head, 0xFE, 2) if features & _64BIT else 32
        self._descriptors = (SUPERBLOCK // self.block + 1) * self.block  # in the block behind the superblock's
        if not self._per_group or self._inode_size < 128 or self._descriptor_size < 32:  # noqa: PLR2004
            raise Unreadable("its superblock contradicts itself")
        if self.blocks * self.block > len(image):
            raise Unreadable(f"it is cut off: it says that it has {self.blocks} blocks of {self.block} bytes")

    def walk(self) -> Iterator[File]:
        """Everything below the root, each inode once."""
        seen = {ROOT}
        folders = [("", ROOT)]
        while folders:
            path, number = folders.pop()
            inode = self._inode(number)
            if inode.flags & _INLINE:
                raise Unreadable(f"the directory {path} lies in its inode (inline_data), which is not read here")
            folder = self._file(path or "/", inode)
            yield folder
            for name, child in self._entries(folder):
                if child in seen:
                    continue
                seen.add(child)
                inode = self._inode(child)
                if inode.kind == _DIRECTORY:
                    folders.append((f"{path}/{name}", child))
                elif inode.kind == _REGULAR and (file := self._file(f"{path}/{name}", inode)).extents:
                    yield file

    def _read(self, start: int, length: int, what: str) -> bytes:
        if start + length > self.blocks * self.block:
            raise Unreadable(f"its {what} points beyond its end")
        return self._image[start : start + length]

    def _inode(self, number: int) -> _Inode:
        if not 0 < number <= self._inodes:
            raise Unreadable(f"a directory names inode {number}, and it has {self._inodes}")
        group, index = divmod(number - 1, self._per_group)
        at = self._descriptors + group * self._descriptor_size
        descriptor = self._read(at, self._descriptor_size, f"group {group}")
        table = _number(descriptor, 8, 4)
        if self._descriptor_size >= 64:  # noqa: PLR2004  the 64-bit one
            table |= _number(descriptor, 0x28, 4) << 32
        raw = self._read(table * self.block + index * self._inode_size, 128, f"inode {number}")
        size = _number(raw, 4, 4) | _number(raw, 0x6C, 4) << 32
        return _Inode(number, _number(raw, 0, 2) >> 12, size, _number(raw, 0x20, 4), raw[0x28:0x64])

    def _file(self, path: str, inode: _Inode) -> File:
        mapped = inode.flags & _EXTENTS and not inode.flags & _INLINE
        end = -(-inode.size // self.block) * self.block
        extents: list[Extent] = []
        for extent in self._extents(inode) if mapped else ():
            if extents and extent.logical < extents[-1].logical + extents[-1].length:
                raise Unreadable(f"the extents of inode {inode.number} overlap")
            if (length := min(extent.length, end - extent.logical)) > 0:
                extents.append(Extent(extent.logical, extent.physical, length))
        return File(path, inode.size, _joined(extents), inode.kind == _DIRECTORY)

    def _extents(self, inode: _Inode) -> Iterator[Extent]:
        """Of the tree below `inode`, in order; without those that hold nothing yet."""
        what = f"inode {inode.number}"
        waiting, nodes = [(inode.root, DEPTH)], 0
        while waiting:
            node, deepest = waiting.pop()
            nodes += 1
            magic, entries, _most, depth, _generation = _HEADER.unpack_from(node)
            if magic != _NODE or depth > deepest or nodes > self.blocks or _HEADER.size + entries * _EXTENT.size > len(node):
                raise Unreadable(f"the extents of {what} are damaged")
            inside = node[_HEADER.size : _HEADER.size + entries * _EXTENT.size]
            if depth:
                children = [low | high << 32 for _logical, low, high, _unused in _INDEX.iter_unpack(inside)]
                waiting += [(self._read(child * self.block, self.block, what), depth - 1) for child in reversed(children)]
                continue
            for logical, count, high, low in _EXTENT.iter_unpack(inside):
                if count > UNWRITTEN:
                    continue
                start = low | high << 32
                if start + count > self.blocks:
                    raise Unreadable(f"the extents of {what} point beyond its end")
                yield Extent(logical * self.block, start * self.block, count * self.block)

    def _entries(self, folder: File) -> Iterator[tuple[str, int]]:
        """Names and inodes in a directory. The inner nodes of a hashed one look like blocks without any."""
        for extent in folder.extents:
            for start in range(extent.physical, extent.physical + extent.length, self.block):
                yield from self._block_entries(self._read(start, self.block, folder.path), folder.path)

    def _block_entries(self, block: bytes, path: str) -> Iterator[tuple[str, int]]:
        at = 0
        while at + _ENTRY.size <= len(block):
            inode, step, length, _type = _ENTRY.unpack_from(block, at)
            if step < _ENTRY.size or at + step > len(block) or _ENTRY.size + length > step:
                raise Unreadable(f"the directory {path} is damaged")
            name = block[at + _ENTRY.size : at + _ENTRY.size + length]
            if inode and name not in (b".", b".."):
                yield name.decode("utf-8", "backslashreplace"), inode
            at += step


def _joined(extents: list[Extent]) -> tuple[Extent, ...]:
    """Neighbours in the file that are neighbours in the image, as one."""
    joined: list[Extent] = []
    for extent in extents:
        last = joined[-1] if joined else None
        if last and (last.logical + last.length, last.physical + last.length) == (extent.logical, extent.physical):
            joined[-1] = Extent(last.logical, last.physical, last.length + extent.length)
        else:
            joined.append(extent)
    return tuple(joined)


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
