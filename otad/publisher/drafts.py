"""Files that are either the old one or the new one, also after a power cut.

Rules:
 1. A name appears by rename of a file that was written and fsynced under another name in the same folder.
 2. Drafts start with `.draft-`; a reader never sees one, and one that a kill left behind is only lost space.
 3. An OSError names a place that its reader knows: the folder or the file's name to be, never a draft.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from otad import durable

PUBLIC = 0o644
FULL = (errno.ENOSPC, errno.EDQUOT)


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
        try:
            self.path.rename(as_)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(as_)) from error
        self.kept = True
        durable.sync(as_.parent)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """That the disk is full is told of `folder`: the system names no file then."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(folder)
        raise


@contextmanager
def draft(folder: Path) -> Iterator[Draft]:
    """A new file in `folder`, gone at the end unless it was kept."""
    durable.folder(folder)
    try:
        descriptor, name = tempfile.mkstemp(prefix=".draft-", dir=folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    with naming(folder), os.fdopen(descriptor, "w+b") as file:
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
    durable.folder(path.parent)
    try:
        path.hardlink_to(source)
    except OSError:  # another file system, or one without links
        copy(source, path)
    else:
        durable.sync(path.parent)
