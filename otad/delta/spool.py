"""The spool: what an UNPACK decompressed, to be read at random.

Rules:
 1. It is a file without a name in a folder on a disk: its content may be larger than memory, and a killed process leaves nothing
    behind.
 2. Its room is taken before anything is decompressed into it, and what must stay free of the disk stays free.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from tempfile import TemporaryFile
from types import TracebackType

from typing_extensions import Self

from otad.delta.faults import NoRoom, Unreadable
from otad.delta.places import within


class Spool:
    """What the last UNPACK gave: at most `room` bytes in `folder`, of whose disk `reserve` bytes stay free. Raises NoRoom."""

    def __init__(self, folder: str, room: int, reserve: int = 0) -> None:
        self._length = 0
        with ExitStack() as failed:
            try:
                self._file = failed.enter_context(TemporaryFile(dir=folder, buffering=0))
                if room:
                    os.posix_fallocate(self._file.fileno(), 0, room)
                disk = os.fstatvfs(self._file.fileno())
            except OSError as error:
                raise NoRoom(f"{folder} has no room for {room} bytes: {error.strerror}") from error
            if room and disk.f_bavail * disk.f_frsize < reserve:
                raise NoRoom(f"{folder} has no room for {room} bytes: {reserve} must stay free")
            failed.pop_all()

    def fill(self, pieces: Iterable[bytes]) -> None:
        """New content. Raises NoRoom."""
        self._length = 0
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                try:
                    done = os.pwrite(self._file.fileno(), rest, self._length)
                except OSError as error:
                    raise NoRoom(f"the spool cannot be written: {error.strerror}") from error
                rest, self._length = rest[done:], self._length + done

    def read(self, at: int, count: int) -> bytes:
        """See Readable."""
        within(self._length, at, count)
        try:
            found = os.pread(self._file.fileno(), count, at)
        except OSError as error:
            raise Unreadable(f"the spool cannot be read at byte {at}: {error.strerror}") from error
        if len(found) != count:
            raise Unreadable(f"the spool ends before byte {at + count}, and {self._length} were written")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
