"""Setting aside: a journal that cannot be used is kept for whoever wants to know, out of the way.

Rules:
 1. At most KEEP of them; the oldest goes first.
 2. The database moves before its rollback journal. A cut in between leaves a rollback journal alone, which SQLite
    drops when it meets an empty database; the other way round it would leave a torn database that looks whole.
"""

from __future__ import annotations

import re
from pathlib import Path

from otad import durable

KEEP = 3


def set_aside(path: Path) -> Path:
    """Rename `path` to `<path>.damaged-<n>`, durably; the new name. Raises OSError."""
    there = sorted(_numbers(path))
    number = there[-1] + 1 if there else 1
    for old in there[: max(0, len(there) - KEEP + 1)]:
        for name in (_named(path, old), _companion(_named(path, old))):
            name.unlink(missing_ok=True)
    new = _named(path, number)
    path.rename(new)
    if _companion(path).exists():
        _companion(path).rename(_companion(new))
    durable.sync(path.parent)
    return new


def _numbers(path: Path) -> list[int]:
    pattern = re.compile(re.escape(path.name) + r"\.damaged-(\d+)")
    return [int(match[1]) for other in path.parent.iterdir() if (match := pattern.fullmatch(other.name))]


def _named(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _companion(path: Path) -> Path:
    """Where SQLite keeps the rollback journal of `path`."""
    return path.with_name(path.name + "-journal")
