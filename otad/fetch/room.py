"""Room on the data partition: asked for before bytes are fetched, and what is said when there is none.

Rules:
 1. The reserve is never used up: the journal and the boot's logs live on the same partition.
 2. A file system's refusal becomes an otad error here, so that it is not taken for a fault of the network (an OSError too).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from otad.errors import RetryLater, Who

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Room:
    """A folder, and the bytes of its file system that must stay free."""

    folder: Path
    reserve: int

    def check(self, needed: int) -> None:
        """Refuse when `needed` more bytes would use up the reserve. Raises RetryLater "disk-full"."""
        with self.guard(needed):
            found = os.statvfs(self.folder)
        free = found.f_bavail * found.f_frsize
        if free - self.reserve < needed:
            raise self._full(needed, free)

    @contextmanager
    def guard(self, needed: int = 0) -> Iterator[None]:
        """Turn an OSError of this folder into RetryLater: "disk-full" (`needed` bytes were still to come) or "cache-unusable"."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(needed, 0) from error
            raise RetryLater(
                "cache-unusable",
                f"cannot use {error.filename or self.folder} for downloads: {error.strerror}",
                f"Check the file system that holds {self.folder} (dmesg; findmnt -T {self.folder})",
                who=Who.FIELD,
                evidence={"folder": str(self.folder), "errno": errno.errorcode.get(error.errno or 0, str(error.errno))},
            ) from error

    def _full(self, needed: int, free: int) -> RetryLater:
        return RetryLater(
            "disk-full",
            f"the download needs {needed} bytes in {self.folder}, where {free} are free and {self.reserve} must stay free",
            f"Free space on the file system of {self.folder} (du -x --max-depth=2), or lower download.reserve",
            who=Who.FIELD,
            evidence={
                "folder": str(self.folder),
                "needed": str(needed),
                "free": str(free),
                "reserve": str(self.reserve),
            },
        )
