"""Deltas of files, without a workspace: for a try.

Rules:
 1. What cannot come to anything is refused before the work. No image is ever replaced by the delta that is made of it.
 2. OUT is whole and proved, or as it was. A kill leaves `.delta-OUT` beside it, which the next run to the same OUT removes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otad.errors import Rejected, Who
from otad.publisher import drafts
from otad.publisher.delta.make import Payload, make
from otad.publisher.delta.proof import proved
from otad.publisher.delta.release import Outcome
from otad.publisher.delta.scratch import scratch
from otad.publisher.encode import Progress, quiet


def write(old: Path, new: Path, out: Path, *, repack: bool = True, progress: Progress = quiet) -> Outcome:
    """Make the delta from `old` to `new`, and put it at `out`. `repack`: see `make`. The outcome's `full` is the length of `new`.

    Raises Rejected("delta-input"), Rejected("delta-output"), Rejected("delta-same"), RetryLater("locked"),
    Rejected("delta-too-large"), Corrupt("delta-wrong").
    """
    _check(old, new, out)
    with _beside(out.absolute()) as work:
        before, after = (Payload.of(file, progress) for file in (old, new))
        if before.sha256 == after.sha256:
            raise _same(f"{old} and {new} hold the same bytes")
        patch = work / "delta"
        with patch.open("wb") as made:
            ledger = make(before, after, made, work, repack=repack, progress=progress)
        proved(before, after, patch, work, progress)
        drafts.copy(patch, out.absolute())
        return Outcome(old.name, new.name, patch.stat().st_size, after.whole.length, listed=False, ledger=ledger)


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder for the work, on the file system that the delta will be on; of it nothing stays."""
    folder = out.parent / f".delta-{out.name}"
    with scratch(folder) as work:
        try:
            yield work
        finally:
            shutil.rmtree(folder)


def _check(old: Path, new: Path, out: Path) -> None:
    for file in (old, new):
        if not file.exists():
            raise Rejected("delta-input", f"{file} is not there", "Check its name", who=Who.INTEGRATOR)
        if not file.is_file():
            remedy = "Give the file of an image or a bundle; what a device holds can be copied to one"
            raise Rejected("delta-input", f"{file} is no regular file", remedy, who=Who.INTEGRATOR)
        if not file.stat().st_size:
            raise Rejected("delta-input", f"{file} is empty", "Build or copy it again", who=Who.INTEGRATOR)
    if old.samefile(new):
        raise _same(f"{old} and {new} are the same file")
    if out.is_dir():
        raise Rejected("delta-output", f"{out} is a folder", f"Name a file, for instance {out / 'delta'}", who=Who.INTEGRATOR)
    if not out.absolute().parent.is_dir():
        what = f"cannot write {out}: there is no folder {out.parent}"
        raise Rejected("delta-output", what, "Make it, or name another", who=Who.INTEGRATOR)
    for file in (old, new):
        if out.exists() and out.samefile(file):
            what = f"{out} would replace {file}, which the delta is made of"
            raise Rejected("delta-output", what, "Name another file for the delta: OLD NEW OUT", who=Who.INTEGRATOR)


def _same(what: str) -> Rejected:
    return Rejected("delta-same", what, "A device that has the one needs nothing of the other", who=Who.INTEGRATOR)
