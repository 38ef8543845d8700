"""A medium as a mounted file system: the kernel's FUSE protocol, as far as a device's disk needs it.

Rules:
 1. The kernel is the only client and caches names and attributes as long as it likes; every change comes here at once.
 2. Opening needs no word (ENOSYS, FUSE_NO_OPEN_SUPPORT), nor does creating: the kernel makes a node, then opens it.
 3. A rename stays in its folder (EXDEV), for two folders would not change as one.
 4. `trip` stops everything before one operation of the disk: from then on nobody reaches it (ENOTCONN).

Source: include/uapi/linux/fuse.h (protocol 7.31), fs/fuse/dir.c and file.c of Linux 6.1.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from simulator.torture.medium import File, Folder, Link, Medium, Node

ROOT, LONG, MAX_WRITE = 1, 10**6, 1 << 20
BIG_WRITES, NO_OPEN, MAX_PAGES, NO_OPENDIR = 1 << 5, 1 << 17, 1 << 22, 1 << 24
SET_MODE, SET_SIZE = 1 << 0, 1 << 3
MNT_DETACH = 2
_HEADER, _OUT = struct.Struct("=IIQQIIIHH"), struct.Struct("=IiQ")
_ATTR, _ENTRY = struct.Struct("=QQQQQQIIIIIIIIII"), struct.Struct("=QQQQII")
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Trip:
    """Before which operation the power goes: the `left`-th of those that match, like "write slot-?"."""

    pattern: str
    left: int


class Unplugged(Exception):
    """The trip: the power goes now. Carries the operation."""


class Mounted:
    """`medium` at the folder `point`, until `unplug`. `fileno` is readable when the kernel asks something: then `answer`."""

    def __init__(self, medium: Medium, point: Path) -> None:
        self.medium = medium
        self.trip: Trip | None = None
        self._point = point
        self._nodes: list[Node] = [medium.root, medium.root]  # by the kernel's number; there is no 0
        self._numbers: dict[Node, int] = {medium.root: ROOT}
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
        if _LIBC.mount(b"otad", os.fsencode(point), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "cannot mount FUSE", str(point))

    def fileno(self) -> int:
        """For a selector."""
        return self._fd

    def unplug(self) -> None:
        """Nobody reaches the disk any more; what waits for it gets ENOTCONN."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def unmount(self) -> None:
        """Free the folder."""
        self.unplug()
        if _LIBC.umount2(os.fsencode(self._point), MNT_DETACH):
            raise OSError(ctypes.get_errno(), "cannot unmount", str(self._point))

    def answer(self) -> None:
        """Take one request and answer it. Raises Unplugged."""
        request = os.read(self._fd, MAX_WRITE + PAGES)
        _, opcode, unique, number, *_ = _HEADER.unpack_from(request)
        if opcode in NO_ANSWER:
            return
        act = ACTS.get(opcode, Mounted.unknown)
        try:
            error, out = 0, act(self, self._nodes[number] if number else self.medium.root, request[_HEADER.size :])
        except OSError as failed:
            error, out = -(failed.errno or errno.EIO), b""
        os.write(self._fd, _OUT.pack(_OUT.size + len(out), error, unique) + out)

    # -- what the kernel asks ---------------------------------------------------------------------------------------------

    def init(self, _: Node, body: bytes) -> bytes:
        """Agree on the protocol."""
        readahead = struct.unpack_from("=III", body)[2]
        flags = BIG_WRITES | NO_OPEN | MAX_PAGES | NO_OPENDIR
        return struct.pack("=IIIIHHIIHHI28x", 7, 31, readahead, flags, 16, 12, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0)

    def unknown(self, _: Node, __: bytes) -> bytes:
        """The kernel does without, from the first time on."""
        raise OSError(errno.ENOSYS, "")

    def lookup(self, folder: Node, body: bytes) -> bytes:
        """A name."""
        return self._entry(_found(folder, _name(body)))

    def getattr(self, node: Node, _: bytes) -> bytes:
        """What stat(2) tells."""
        return struct.pack("=QII", LONG, 0, 0) + self._attr(node)

    def setattr(self, node: Node, body: bytes) -> bytes:
        """chmod, truncate; times are ours."""
        valid, size, mode = struct.unpack_from("=I12xQ44xI", body)
        if valid & SET_MODE:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & SET_SIZE and isinstance(node, File):
            self._before("write", node.place)
            node.truncate(size)
            node.mtime = time.time_ns()
        return self.getattr(node, b"")

    def readlink(self, node: Node, _: bytes) -> bytes:
        """Where a link leads."""
        return node.target if isinstance(node, Link) else b""

    def symlink(self, folder: Node, body: bytes) -> bytes:
        """A new link."""
        name, target = body.rstrip(b"\0").split(b"\0")
        return self._new(folder, name, Link(stat.S_IFLNK | 0o777, target=target))

    def mknod(self, folder: Node, body: bytes) -> bytes:
        """A new file, or a socket."""
        mode = struct.unpack_from("=I", body)[0]
        return self._new(folder, _name(body[16:]), File(mode) if stat.S_ISREG(mode) else Node(mode))

    def mkdir(self, folder: Node, body: bytes) -> bytes:
        """A new folder."""
        return self._new(folder, _name(body[8:]), Folder(stat.S_IFDIR | struct.unpack_from("=I", body)[0]))

    def unlink(self, folder: Node, body: bytes) -> bytes:
        """A name goes; who has the file open keeps it."""
        _found(folder, _name(body))
        self._change(folder, {_name(body): None})
        return b""

    def rmdir(self, folder: Node, body: bytes) -> bytes:
        """An empty folder goes."""
        if _folder(_found(folder, _name(body))).now:
            raise OSError(errno.ENOTEMPTY, "")
        return self.unlink(folder, body)

    def rename(self, folder: Node, body: bytes) -> bytes:
        """One name for another."""
        if self._nodes[struct.unpack_from("=Q", body)[0]] is not folder:
            raise OSError(errno.EXDEV, "")
        old, new = body[8:].rstrip(b"\0").split(b"\0")
        self._change(folder, {old: None, new: _found(folder, old)})
        return b""

    def read(self, node: Node, body: bytes) -> bytes:
        """Bytes."""
        offset, size = struct.unpack_from("=8xQI", body)
        return bytes(_file(node).now[offset : offset + size])

    def write(self, node: Node, body: bytes) -> bytes:
        """Bytes."""
        offset, size = struct.unpack_from("=8xQI", body)
        self._before("write", node.place)
        _file(node).write(offset, body[40 : 40 + size])
        node.mtime = time.time_ns()
        return struct.pack("=II", size, 0)

    def fsync(self, node: Node, _: bytes) -> bytes:
        """For files and for folders, and for fdatasync."""
        self._before("sync", node.place)
        self.medium.sync(node)
        return b""

    def readdir(self, folder: Node, body: bytes) -> bytes:
        """Names, from an offset on, as many as fit."""
        offset, size = struct.unpack_from("=8xQI", body)
        out = b""
        for place, (name, node) in list(enumerate(_folder(folder).now.items(), 1))[offset:]:
            entry = struct.pack("=QQII", self._number(node), place, len(name), stat.S_IFMT(node.mode) >> 12) + name
            entry += bytes(-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out

    def statfs(self, _: Node, __: bytes) -> bytes:
        """A disk with room."""
        return struct.pack("=QQQQQIII28x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096)

    # -- how it is told ---------------------------------------------------------------------------------------------------

    def _before(self, verb: str, place: str) -> None:
        """Something of the disk is about to change."""
        trip, what = self.trip, f"{verb} {place}"
        if trip and fnmatch(what, trip.pattern):
            trip.left -= 1
            if trip.left <= 0:
                raise Unplugged(what)

    def _change(self, folder: Node, change: dict[bytes, Node | None]) -> None:
        owner, name = _folder(folder), list(change)[-1].decode(errors="replace")
        self._before("name", f"{owner.place}/{name}".lstrip("/"))
        owner.change(change)
        owner.mtime = time.time_ns()

    def _new(self, folder: Node, name: bytes, node: Node) -> bytes:
        node.mtime = time.time_ns()
        self._change(folder, {name: node})
        return self._entry(node)

    def _entry(self, node: Node) -> bytes:
        return _ENTRY.pack(self._number(node), 0, LONG, LONG, 0, 0) + self._attr(node)

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[node]

    def _attr(self, node: Node) -> bytes:
        size = len(node.now if isinstance(node, File) else node.target if isinstance(node, Link) else b"")
        seconds, nano = divmod(node.mtime, 10**9)
        times = (seconds, seconds, seconds, nano, nano, nano)
        links = 2 if isinstance(node, Folder) else 1
        return _ATTR.pack(self._number(node), size, -(-size // 512), *times, node.mode, links, 0, 0, 0, 4096, 0)


PAGES = 4096  # for the headers of a request, beside its bytes
NO_ANSWER = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET: nodes are few enough to remember, and nothing takes long
ACTS: dict[int, Callable[[Mounted, Node, bytes], bytes]] = {
    1: Mounted.lookup,
    3: Mounted.getattr,
    4: Mounted.setattr,
    5: Mounted.readlink,
    6: Mounted.symlink,
    8: Mounted.mknod,
    9: Mounted.mkdir,
    10: Mounted.unlink,
    11: Mounted.rmdir,
    12: Mounted.rename,
    15: Mounted.read,
    16: Mounted.write,
    17: Mounted.statfs,
    20: Mounted.fsync,
    26: Mounted.init,
    28: Mounted.readdir,
    30: Mounted.fsync,
}


def _name(body: bytes) -> bytes:
    return body.partition(b"\0")[0]


def _folder(node: Node) -> Folder:
    if not isinstance(node, Folder):
        raise NotADirectoryError(errno.ENOTDIR, "")
    return node


def _file(node: Node) -> File:
    if not isinstance(node, File):
        raise OSError(errno.EINVAL, "")
    return node


def _found(folder: Node, name: bytes) -> Node:
    node = _folder(folder).now.get(name)
    if node is None:
        raise FileNotFoundError(errno.ENOENT, "")
    return node
