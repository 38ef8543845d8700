"""Files that are either the old one or the new one, also after a power cut.

Rules:
 1. A name appears by rename of a file that was written and fsynced under another name in the same folder.
 2. The folder is fsynced after the rename, and a new folder's parent after it was made: what a later file refers to is there.
 3. Drafts start with `.draft-`; a reader never sees one, and one that a kill left behind is only lost space.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PUBLIC = 0o644


class Draft:
    """A file being written, that has no name yet."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path
        self.kept = False

    def keep(self, as_: Path, mode: int = PUBLIC) -> None:
        """Give it its name, durably. `as_` is in the folder that the draft is in."""
        self.file.flush()
        os.fchmod(self.file.fileno(), mode)
        os.fsync(self.file.fileno())
        self.path.rename(as_)
        self.kept = True
        sync_folder(as_.parent)


@contextmanager
def draft(folder: Path) -> Iterator[Draft]:
    """A new file in `folder`, gone at the end unless it was kept."""
    make_folder(folder)
    descriptor, name = tempfile.mkstemp(prefix=".draft-", dir=folder)
    with os.fdopen(descriptor, "w+b") as file:
        new = Draft(file, Path(name))
        try:
            yield new
        finally:
            if not new.kept:
                new.path.unlink()


def write(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Put `data` at `path`."""
    with draft(path.parent) as new:
        new.file.write(data)
        new.keep(path, mode)


def copy(source: Path, path: Path) -> None:
    """Put the bytes of `source` at `path`."""
    with draft(path.parent) as new:
        with source.open("rb") as file:
            shutil.copyfileobj(file, new.file, 1 << 20)
        new.keep(path)


def link(source: Path, path: Path) -> None:
    """Give the file `source`, which nobody changes any more, the name `path` too; a copy where the two cannot share."""
    make_folder(path.parent)
    try:
        path.hardlink_to(source)
    except OSError:  # another file system, or one without links
        copy(source, path)
    else:
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make `folder` and the folders above it that are missing."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
