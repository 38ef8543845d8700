"""Which old file a new file is likely to have come from. Pure.

Rules:
 1. The same path wins; then the same path with other version numbers (`/lib/modules/6.1.0-37/...`); then the same name elsewhere,
    version numbers and the ending of a compressor apart.
 2. Among several, the nearest in size; then the first by its path, so that the same images give the same pairs.
 3. What has no namesake has no pair: the window method looks for what it may have come from.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from otad.publisher.delta.ext4 import File

_VERSION = re.compile(r"\d+(?:[.\-+~_:]?\d+)*")
_SIZE = attrgetter("size")
_COMPRESSED = re.compile(r"\.(?:gz|xz|zst|zstd|bz2|lz4)$")


def normalised(path: str) -> str:
    """`path` without what changes from version to version."""
    return _VERSION.sub("#", _COMPRESSED.sub("", path))


def pairs(old: Iterable[File], new: Iterable[File]) -> Mapping[str, File]:
    """Path of a new file -> the old file to compare it with, for those that have one."""
    known = list(old)
    exact = {file.path: file for file in known}
    ways = [_Way(known, normalised), _Way(known, lambda path: normalised(path.rpartition("/")[2]))]
    found = ((file.path, exact.get(file.path) or next(filter(None, (way.nearest(file) for way in ways)), None)) for file in new)
    return {path: file for path, file in found if file}


class _Way:
    """Files by what `key` makes of their paths. Files and directories are never pairs."""

    def __init__(self, files: Sequence[File], key: Callable[[str], str]) -> None:
        self._key = key
        self._files: dict[tuple[str, bool], list[File]] = defaultdict(list)
        for file in sorted(files, key=attrgetter("size", "path")):
            self._files[key(file.path), file.directory].append(file)

    def nearest(self, file: File) -> File | None:
        """The first of those as large as it or larger, or the first of the next smaller ones."""
        alike = self._files.get((self._key(file.path), file.directory), ())
        at = bisect_left(alike, file.size, key=_SIZE)
        near = [*alike[at : at + 1], *(alike[bisect_left(alike, one.size, key=_SIZE)] for one in alike[:at][-1:])]
        return min(near, key=lambda one: (abs(one.size - file.size), one.path), default=None)
