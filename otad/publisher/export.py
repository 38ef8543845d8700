"""otarepo export: chosen releases on a medium that is carried to a device.

Rules:
 1. What is written is signed by offline keys only: all roots, targets, releases, the chosen releases' documents and blobs. No
    timestamp, snapshot or roll-outs: the online key says nothing on media.
 2. Blobs come first, and the metadata that names them last: a medium on which it stands is whole.
 3. A file counts when it was read back from the medium itself, not from memory, and is what was signed. One that is there and
    right is not written again: killed, or on a full medium, the next run goes on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Targets

from otad.errors import OtadError, Rejected, Who
from otad.publisher import drafts
from otad.publisher.encode import PIECE, Progress, quiet
from otad.publisher.grants import standing
from otad.publisher.lock import one_writer
from otad.publisher.release import find, path_of
from otad.publisher.roles import RELEASES, ROOT, TARGETS
from otad.publisher.sequence import blobs_of, sealed_versions
from otad.publisher.workspace import Workspace

Came = Callable[[int], None]
"""Called with the number of bytes of each piece."""


@dataclass(frozen=True)
class Exported:
    """written: files that were not there yet; files, bytes: all that is on the medium now."""

    written: int
    files: int
    bytes: int


def export(ws: Workspace, to: Path, versions: Sequence[str], *, progress: Progress = quiet) -> Exported:
    """Put the releases `versions`, as they were last sealed, into the folder `to`, and read them back.

    Raises Rejected("release-unknown"), Rejected("release-withdrawn"), Rejected("export-diverged"), OtadError("medium-full"),
    OtadError("medium-bad").
    """
    with ws.writing("export"), one_writer(to, "export"):
        sources = list(dict.fromkeys(_files(ws, versions)))
        _same_repository(ws, to)
        missing = [file for file in sources if not _is(to / file.relative_to(ws.path), _name(file))]
        total = sum(file.stat().st_size for file in missing)
        _room(to, total)
        done = 0

        def came(count: int) -> None:
            nonlocal done
            done += count
            progress("writing and reading back", done, 2 * total)

        for file in missing:
            _write(file, to / file.relative_to(ws.path), came)
        return Exported(len(missing), len(sources), sum(file.stat().st_size for file in sources))


def _files(ws: Workspace, versions: Sequence[str]) -> Iterator[Path]:
    """What goes onto the medium, in the order in which it is written."""
    sealed = sealed_versions(ws)
    releases = ws.roles.targets(RELEASES, sealed[RELEASES])
    chosen = []
    for version in versions:
        target = find(ws, releases, version)
        standing(target, version)
        chosen += [target, releases.targets[path_of(ws.product, version, "encodings")]]
    some = Targets(targets={target.path: target for target in chosen})
    yield from blobs_of(ws, some)
    yield from map(ws.document, chosen)
    yield from (ws.roles.path(ROOT, version) for version in range(1, ws.roles.version(ROOT) + 1))
    yield from (ws.roles.path(role, sealed[role]) for role in (TARGETS, RELEASES))


def _same_repository(ws: Workspace, to: Path) -> None:
    first = ws.roles.path(ROOT, 1)
    there = to / first.relative_to(ws.path)
    if there.exists() and there.read_bytes() != first.read_bytes():
        what = f"{to} holds releases of another repository"
        raise Rejected("export-diverged", what, "Empty it, or choose another folder", who=Who.INTEGRATOR)


def _room(to: Path, needed: int) -> None:
    free = shutil.disk_usage(to).free
    if free < needed:
        what = f"{to} has {free:,} bytes free, and {needed:,} are to be written"
        raise OtadError("medium-full", what, "Delete something there, or take a larger medium", who=Who.INTEGRATOR)


def _write(source: Path, goal: Path, came: Came) -> None:
    """Copy, and read back. Raises OtadError("medium-bad")."""
    digest = hashlib.sha256()
    try:
        with drafts.draft(goal.parent) as new, source.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                new.file.write(piece)
                came(len(piece))
            if digest.hexdigest() != _name(source):
                what = f"{source} is not what was signed"
                raise Rejected("blob-changed", what, "Restore it from what was published", who=Who.INTEGRATOR)
            new.keep(goal)
        right = _is(goal, digest.hexdigest(), came)
    except OSError as error:
        what = f"cannot write {goal}: {error.strerror}"
        raise OtadError("medium-bad", what, "Take another medium, then do this again", who=Who.INTEGRATOR) from error
    if not right:
        what = f"{goal} does not read back as it was written: the medium is damaged"
        raise OtadError("medium-bad", what, "Take another medium", who=Who.INTEGRATOR)


def _is(path: Path, sha256: str, came: Came = lambda _: None) -> bool:
    """Whether the medium holds that content at `path`; what of it is in memory is given up first."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return _sha256(path, came) == sha256


def _name(file: Path) -> str:
    """The SHA-256 of a file as it was signed: blobs and documents are called by it, metadata is what it is."""
    stem = file.name.split(".")[0]
    return stem if len(stem) == hashlib.sha256().digest_size * 2 else _sha256(file)


def _sha256(path: Path, came: Came = lambda _: None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            came(len(piece))
    return digest.hexdigest()
