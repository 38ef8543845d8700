"""What takes minutes to make, kept in folders that are named by the hash of all that it is made of.

Rules:
 1. An entry is made under another name and renamed when it is whole: half of one is never taken for one.
 2. One maker at a time for a name; whoever comes meanwhile waits, and finds it made.
 3. Of each name the newest entry stays: what an older text made goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.qemu.tools import NotReady

DIGITS = 16  # of the hash, in a folder's name

Make = Callable[[Path], object]
"""Fills a folder."""


@dataclass(frozen=True)
class Cache:
    """Entries below `folder`."""

    folder: Path

    @classmethod
    def default(cls) -> Cache:
        """`$OTAD_CACHE`, or `build/cache` of this checkout."""
        return cls(Path(os.environ.get("OTAD_CACHE", Path(__file__).parents[2] / "build" / "cache")).absolute())

    def entry(self, name: str, made_of: Iterable[bytes], make: Make, *, room: int) -> Path:
        """The folder of `name` as made of `made_of`; `make` fills it when it is not there yet, in at most `room` bytes.

        Raises NotReady when there is no room; what `make` raises goes through, and nothing is kept.
        """
        whole = self.folder / f"{name}-{_hash(made_of)}"
        if not whole.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            with _alone(self.folder / f"{name}.lock"):
                if not whole.is_dir():
                    self._make(name, whole, make, room)
        return whole

    def _make(self, name: str, whole: Path, make: Make, room: int) -> None:
        enough(self.folder, room, name, "set OTAD_CACHE to a folder elsewhere")
        print(f"making {whole}", file=sys.stderr)
        began = time.monotonic()
        part = self.folder / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        make(part)
        for old in self.folder.glob(f"{name}-{'?' * DIGITS}"):
            shutil.rmtree(old)
        part.rename(whole)
        print(f"made {name} in {time.monotonic() - began:.0f} s", file=sys.stderr)


def enough(folder: Path, room: int, name: str, otherwise: str) -> None:
    """Raises NotReady when `folder` has not `room` bytes free for `name`."""
    free = shutil.disk_usage(folder).free
    if free < room:
        raise NotReady(
            f"cannot make {name}: {folder} has {free >> 20} MiB free, {room >> 20} MiB are needed; make room, or {otherwise}"
        )


def _hash(made_of: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in made_of:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:DIGITS]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Nobody else is within; the kernel lets the next in when this process ends, however it ends."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
