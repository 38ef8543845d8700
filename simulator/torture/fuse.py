"""A medium as a mounted file system, through the kernel's FUSE.

Rules:
 1. The kernel is the only client and caches names and attributes as long as it likes; every change comes here at once.
 2. Opening needs no word (ENOSYS, FUSE_NO_OPEN_SUPPORT), nor does creating: the kernel makes a node, then opens it.
 3. A rename stays in its folder (EXDEV), for two folders would not change as one.
 4. `trip` stops everything before one operation of the disk: from then on nobody reaches it (ENOTCONN).

Source: fs/fuse/dir.c and file.c of Linux 6.1.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from simulator.torture import wire
from simulator.torture.medium import File, Folder, Link, Medium, Node

MNT_DETACH = 2
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
        self._numbers: dict[Node, int] = {medium.root: wire.ROOT}
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
        if _LIBC.mount(b"otad", os.fsencode(point), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "cannot mount FUSE", str(point))

    def fileno(self) -> int:
        """For a selector; negative when unplugged."""
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
        opcode, unique, number, body = wire.request(os.read(self._fd, wire.LONGEST))
        if opcode in wire.NO_ANSWER:
            return
        act = ACTS.get(opcode, Mounted.unknown)
        try:
            error, out = 0, act(self, self._nodes[number] if number else self.medium.root, body)
        except OSError as failed:
            error, out = failed.errno or errno.EIO, b""
        os.write(self._fd, wire.answer(unique, error, out))

    # -- what the kernel asks ---------------------------------------------------------------------------------------------

    def unknown(self, _: Node, __: bytes) -> bytes:
        """The kernel does without, from the first time on."""
        raise OSError(errno.ENOSYS, "")

    def init(self, _: Node, body: bytes) -> bytes:
        """Agree on the protocol."""
        return wire.init(body)

    def statfs(self, _: Node, __: bytes) -> bytes:
        """There is room."""
        return wire.space()

    def lookup(self, folder: Node, body: bytes) -> bytes:
        """A name."""
        node = _found(folder, wire.text(body))
        return wire.entry(self._number(node), node)

    def getattr(self, node: Node, _: bytes) -> bytes:
        """What stat(2) tells."""
        return wire.status(self._number(node), node)

    def setattr(self, node: Node, body: bytes) -> bytes:
        """A mode, or a length."""
        size, mode = wire.changes(body)
        if mode is not None:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if size is not None:
            self._before("write", node.place)
            _file(node).truncate(size)
            node.mtime = time.time_ns()
        return self.getattr(node, b"")

    def readlink(self, node: Node, _: bytes) -> bytes:
        """Where a link leads."""
        return node.target if isinstance(node, Link) else b""

    def symlink(self, folder: Node, body: bytes) -> bytes:
        """A new link."""
        name, target = wire.texts(body)
        return self._new(folder, name, Link(stat.S_IFLNK | 0o777, target=target))

    def mknod(self, folder: Node, body: bytes) -> bytes:
        """A new file, or a socket."""
        mode, name = wire.made(body, 16)
        return self._new(folder, name, File(mode) if stat.S_ISREG(mode) else Node(mode))

    def mkdir(self, folder: Node, body: bytes) -> bytes:
        """A new folder."""
        mode, name = wire.made(body, 8)
        return self._new(folder, name, Folder(stat.S_IFDIR | mode))

    def unlink(self, folder: Node, body: bytes) -> bytes:
        """A name goes; who has the file open keeps it."""
        _found(folder, wire.text(body))
        self._change(folder, {wire.text(body): None})
        return b""

    def rmdir(self, folder: Node, body: bytes) -> bytes:
        """An empty folder goes."""
        if _folder(_found(folder, wire.text(body))).now:
            raise OSError(errno.ENOTEMPTY, "")
        return self.unlink(folder, body)

    def rename(self, folder: Node, body: bytes) -> bytes:
        """One name for another."""
        to, old, new = wire.renamed(body)
        if self._nodes[to] is not folder:
            raise OSError(errno.EXDEV, "")
        self._change(folder, {old: None, new: _found(folder, old)})
        return b""

    def read(self, node: Node, body: bytes) -> bytes:
        """Bytes."""
        offset, size = wire.span(body)
        return bytes(_file(node).now[offset : offset + size])

    def write(self, node: Node, body: bytes) -> bytes:
        """Bytes."""
        offset, data = wire.written(body)
        self._before("write", node.place)
        _file(node).write(offset, data)
        node.mtime = time.time_ns()
        return wire.count(len(data))

    def fsync(self, node: Node, _: bytes) -> bytes:
        """For files and for folders, and for fdatasync."""
        self._before("sync", node.place)
        self.medium.sync(node)
        return b""

    def readdir(self, folder: Node, body: bytes) -> bytes:
        """Names."""
        return wire.names(((self._number(node), name, node) for name, node in _folder(folder).now.items()), *wire.span(body))

    # -- what it does to the medium ---------------------------------------------------------------------------------------

    def _before(self, verb: str, place: str) -> None:
        """Something of the disk is about to change. Raises Unplugged."""
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
        return wire.entry(self._number(node), node)

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[node]


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
"""What is answered, by the kernel's number of the operation."""


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
