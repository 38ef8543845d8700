"""A blob that is not complete yet: `<sha256>.part`, and `<sha256>.ledger` that says how much of it is durable. Blocking.

Rules (what a power cut finds):
 1. Data is fsynced before the ledger that claims it is renamed into place. Whatever lies beyond the claim is cut off on opening.
 2. On opening, the claimed bytes are read and hashed again: hash states cannot be saved, and a flash cell may have rotted. What
    does not match is not kept; so the hash at the end is over bytes that were really read back or really flowed.
 3. The blob gets its name only when its hash is right and everything is fsynced. A file without suffix is whole.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from otad import durable
from otad.blocking import Stopped
from otad.errors import Corrupt, Who
from otad.fetch.ranges import Ledger
from otad.fetch.room import Room

CHUNK = 10 * 1000 * 1000
"""Bytes between two fsyncs: what a cut costs at most, and what the medium is asked to do at once."""

_BLOCK = 2**20


class Partial:
    """One blob on its way. `offset` bytes are written and hashed; `etag` is that of the file on the server."""

    def __init__(self, blob: Path, length: int, room: Room) -> None:
        self.offset = 0
        self.length = length
        self.etag: str | None = None
        self.stop = threading.Event()
        self._blob = blob
        self._file = blob.with_name(f"{blob.name}.part")
        self._ledger = blob.with_name(f"{blob.name}.ledger")
        self._room = room
        self._fd = -1
        self._hash = hashlib.sha256()
        self._durable = 0

    def open(self) -> None:
        """Take up what is durable. Raises RetryLater when the folder cannot be used, Stopped when `stop` is set."""
        with self._room.guard(self.length):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            claim = self._claim()
            if claim is None or claim.offset > self.length or not self._proves(claim):
                self.restart()
                return
            os.ftruncate(self._fd, claim.offset)  # beyond the claim may be zeros that were never fsynced
            self.offset = self._durable = claim.offset
            self.etag = claim.etag

    def _claim(self) -> Ledger | None:
        try:
            return Ledger.decode(self._ledger.read_bytes())
        except FileNotFoundError:
            return None

    def _proves(self, claim: Ledger) -> bool:
        """Hash the claimed bytes as they are on the disk now."""
        left = claim.offset
        while left:
            if self.stop.is_set():
                raise Stopped
            block = os.read(self._fd, min(left, _BLOCK))
            if not block:
                return False
            self._hash.update(block)
            left -= len(block)
        return self._hash.hexdigest() == claim.sha256

    def restart(self) -> None:
        """Forget every byte."""
        with self._room.guard(self.length):
            self._ledger.unlink(missing_ok=True)
            os.ftruncate(self._fd, 0)
        self._hash = hashlib.sha256()
        self.offset = self._durable = 0
        self.etag = None

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append. Raises RetryLater "disk-full" when the medium or the reserve says so; the pieces from there on are lost."""
        with self._room.guard(self.length - self.offset):
            for piece in pieces:
                _write_all(self._fd, piece, self.offset)
                self._hash.update(piece)  # after the write: offset and hash always tell of the same bytes
                self.offset += len(piece)
        if self.offset - self._durable >= CHUNK:
            self.sync()
            self._room.check(self.length - self.offset)

    def sync(self) -> None:
        """Make all that was written durable, then claim it."""
        if self.offset == self._durable:
            return
        with self._room.guard(self.length - self.offset):
            os.fdatasync(self._fd)
            durable.write(self._ledger, Ledger(self.offset, self._hash.hexdigest(), self.etag).encode())
        self._durable = self.offset

    def publish(self) -> Path:
        """Give the blob its name, durably, if it is the promised one. Raises Corrupt "blob-corrupt" and drops it otherwise."""
        found = self._hash.hexdigest()
        if found != self._blob.name:
            self.restart()
            self._file.unlink()
            raise Corrupt(
                "blob-corrupt",
                f"what was fetched as {self._blob.name} has the SHA-256 {found}",
                "Compare blobs/ on the server with what was built; publish it again if it differs",
                who=Who.INTEGRATOR,
                evidence={"expected": self._blob.name, "found": found},
            )
        with self._room.guard():
            os.fsync(self._fd)
            self._file.replace(self._blob)
            self._ledger.unlink(missing_ok=True)
            durable.sync(self._blob.parent)
        self._durable = self.offset
        return self._blob

    def close(self) -> None:
        """Let go of the file; what was not synced is fetched again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, piece: bytes, at: int) -> None:
    view = memoryview(piece)
    while view:
        count = os.pwrite(fd, view, at)
        view, at = view[count:], at + count
