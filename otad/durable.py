"""Names and bytes that are on the medium when the call returns: a power cut leaves the old ones or the new ones.

Rules:
 1. A file appears whole: written beside under a hidden name, fsynced, renamed. What a cut leaves beside is overwritten next time.
 2. A name is durable when its folder is fsynced (fsync(2), "Calling fsync() does not necessarily ensure that the entry...").
 3. OSError goes to the caller, who knows what could not be kept.
"""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `path`, in a folder that exists."""
    draft = _beside(path)
    try:
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)  # a full medium must not stay full of it
        raise
    draft.replace(path)
    sync(path.parent)


def link(path: Path, to: Path) -> None:
    """Make `path` a symbolic link to `to`, in place of what it was."""
    draft = _beside(path)
    draft.unlink(missing_ok=True)
    draft.symlink_to(to)
    draft.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove the file at `path`, if it is there."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def folder(path: Path) -> None:
    """Make the folder `path`, and those above it that are missing."""
    if path.is_dir():
        return
    folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
