"""The kernel's FUSE protocol as bytes, as far as a device's disk needs it. Pure.

Source: include/uapi/linux/fuse.h, protocol 7.31.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable

from simulator.torture.medium import File, Folder, Link, Node

ROOT, MAX_WRITE, PAGE = 1, 1 << 20, 4096
LONGEST = MAX_WRITE + PAGE  # bytes of a request
LONG = 10**6  # seconds for which names and attributes hold: nobody else changes them
BIG_WRITES, NO_OPEN, MAX_PAGES, NO_OPENDIR = 1 << 5, 1 << 17, 1 << 22, 1 << 24
SET_MODE, SET_SIZE = 1 << 0, 1 << 3
NO_ANSWER = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET: nodes are few enough to remember, and nothing takes long
_HEADER, _OUT = struct.Struct("=IIQQIIIHH"), struct.Struct("=IiQ")
_ATTR, _ENTRY = struct.Struct("=QQQQQQIIIIIIIIII"), struct.Struct("=QQQQII")


def request(data: bytes) -> tuple[int, int, int, bytes]:
    """Operation, number of the request, number of the node, and the rest."""
    _, opcode, unique, number, *_ = _HEADER.unpack_from(data)
    return opcode, unique, number, data[_HEADER.size :]


def answer(unique: int, error: int, out: bytes) -> bytes:
    """The answer to a request: an errno, or 0 and what was asked for."""
    return _OUT.pack(_OUT.size + len(out), -error, unique) + out


def init(body: bytes) -> bytes:
    """What both sides can do."""
    readahead = struct.unpack_from("=8xI", body)[0]
    flags = BIG_WRITES | NO_OPEN | MAX_PAGES | NO_OPENDIR
    return struct.pack("=IIIIHHIIHHI28x", 7, 31, readahead, flags, 16, 12, MAX_WRITE, 1, MAX_WRITE // PAGE, 0, 0)


def attributes(number: int, node: Node) -> bytes:
    """What stat(2) tells."""
    size = len(node.now if isinstance(node, File) else node.target if isinstance(node, Link) else b"")
    seconds, nano = divmod(node.mtime, 10**9)
    times = (seconds, seconds, seconds, nano, nano, nano)
    links = 2 if isinstance(node, Folder) else 1
    return _ATTR.pack(number, size, -(-size // 512), *times, node.mode, links, 0, 0, 0, PAGE, 0)


def status(number: int, node: Node) -> bytes:
    """Attributes by themselves."""
    return struct.pack("=QII", LONG, 0, 0) + attributes(number, node)


def entry(number: int, node: Node) -> bytes:
    """A name's node."""
    return _ENTRY.pack(number, 0, LONG, LONG, 0, 0) + attributes(number, node)


def names(entries: Iterable[tuple[int, bytes, Node]], offset: int, size: int) -> bytes:
    """The entries of a folder (node's number, name, node) from an offset on, as many as fit."""
    out = b""
    for place, (number, name, node) in enumerate(entries, 1):
        one = struct.pack("=QQII", number, place, len(name), stat.S_IFMT(node.mode) >> 12) + name
        one += bytes(-len(one) % 8)
        if len(out) + len(one) > size:
            break
        out += one if place > offset else b""
    return out


def changes(body: bytes) -> tuple[int | None, int | None]:
    """Of a setattr: the new size, the new mode; times are the disk's own."""
    valid, size, mode = struct.unpack_from("=I12xQ44xI", body)
    return size if valid & SET_SIZE else None, mode if valid & SET_MODE else None


def span(body: bytes) -> tuple[int, int]:
    """Of a read or a readdir: offset and size."""
    offset, size = struct.unpack_from("=8xQI", body)
    return offset, size


def written(body: bytes) -> tuple[int, bytes]:
    """Of a write: offset and bytes."""
    offset, size = span(body)
    return offset, body[40 : 40 + size]


def count(written: int) -> bytes:
    """How many bytes were written."""
    return struct.pack("=II", written, 0)


def text(body: bytes) -> bytes:
    """A name."""
    return body.partition(b"\0")[0]


def texts(body: bytes) -> tuple[bytes, bytes]:
    """Two names."""
    first, second = body.rstrip(b"\0").split(b"\0")
    return first, second


def made(body: bytes, header: int) -> tuple[int, bytes]:
    """Of what makes a node: mode and name, which follows a header of so many bytes."""
    return struct.unpack_from("=I", body)[0], text(body[header:])


def renamed(body: bytes) -> tuple[int, bytes, bytes]:
    """Of a rename: number of the folder that it goes to, old name, new name."""
    return struct.unpack_from("=Q", body)[0], *texts(body[8:])


def space() -> bytes:
    """A disk with room, for statfs."""
    return struct.pack("=QQQQQIII28x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, PAGE, 255, PAGE)
