"""The cache: `/data/updates/<sha256>`, every file named by what it holds.

Rules:
 1. A file without suffix was whole and right when it got its name (see partial.py); `verify` says whether it still is.
 2. What is not asked to be kept goes: the folder is bounded by what one release brings.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from pathlib import Path

from otad import blocking
from otad.errors import Corrupt
from otad.fetch.partial import Partial
from otad.fetch.room import Room

_BLOCK = 2**20


class Cache:
    """The blobs in the folder `updates`, on a file system of which `reserve` bytes must stay free."""

    def __init__(self, updates: Path, reserve: int) -> None:
        self.room = Room(updates, reserve)
        self._updates = updates

    def path(self, sha256: str) -> Path:
        """Where the blob is, or will be."""
        return self._updates / sha256

    def has(self, sha256: str, length: int) -> bool:
        """Whether the blob is here as far as its name and length tell; `verify` reads it."""
        with self.room.guard():
            try:
                return self.path(sha256).stat().st_size == length
            except FileNotFoundError:
                return False

    def partial(self, sha256: str, length: int) -> Partial:
        """The same blob on its way, not opened yet."""
        return Partial(self.path(sha256), length, self.room)

    def size(self) -> int:
        """Bytes of all files here, partial ones too."""
        with self.room.guard():
            return sum(file.stat().st_size for file in self._files())

    def keep(self, hashes: Collection[str]) -> None:
        """Delete every file that does not belong to one of the blobs `hashes`. Blocking."""
        with self.room.guard():
            for file in self._files():
                if file.name.partition(".")[0] not in hashes:
                    file.unlink()

    async def verify(self, sha256: str, length: int) -> None:
        """Read the blob again, in a thread. Raises Corrupt, and drops it, when it is missing or not what its name says."""
        stop = threading.Event()
        found = await blocking.finish(blocking.start(self._hash, self.path(sha256), stop), stop)
        if found == (sha256, length):
            return
        with self.room.guard():
            self.path(sha256).unlink(missing_ok=True)
        raise Corrupt(
            "cache-corrupt",
            f"{self.path(sha256)} has {found[1]} bytes with the SHA-256 {found[0]}, and {length} bytes of its name were stored",
            "It is fetched again; if that repeats, check the data partition's medium",
            evidence={"expected": sha256, "found": found[0], "length": str(found[1])},
        )

    def _hash(self, file: Path, stop: threading.Event) -> tuple[str, int]:
        digest, length = hashlib.sha256(), 0
        buffer = memoryview(bytearray(_BLOCK))
        with self.room.guard():
            try:
                with file.open("rb", buffering=0) as blob:
                    while count := blob.readinto(buffer):
                        if stop.is_set():
                            raise blocking.Stopped
                        digest.update(buffer[:count])
                        length += count
            except FileNotFoundError:
                return "", 0
        return digest.hexdigest(), length

    def _files(self) -> list[Path]:
        return [file for file in self._updates.iterdir() if file.is_file()] if self._updates.is_dir() else []
