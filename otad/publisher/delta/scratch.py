"""A folder for what a delta is made with, and for the delta until it is proved.

Rules:
 1. It has one name and one user at a time: what a kill left in it goes with the next run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otad.publisher import drafts
from otad.publisher.lock import one_writer


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder in `folder`, empty, and this command's alone. Raises RetryLater("locked")."""
    with one_writer(folder, "delta"), drafts.naming(folder):
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
