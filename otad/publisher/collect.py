"""otarepo gc: what no device can be led to any more is deleted, in the workspace and where it was published.

Rules:
 1. Roots are never deleted: a device may come from any of them.
 2. The rest goes 90 days after the last timestamp that reached it was replaced; when that was stands, signed, in the snapshot
    that came next. What waits to be published or signed stays. What was staged and overtaken was never public, and goes at once.
 3. Of a withdrawn release everything stays but its blobs: no device fetches those any more.
 4. Only names that otarepo gives are touched, and drafts that a kill left behind. Killed on the way: the next run goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tuf.api.metadata import Snapshot

from otad import durable
from otad.errors import Rejected, Who
from otad.publisher.encode import Progress, quiet
from otad.publisher.lock import one_writer
from otad.publisher.publish import ISSUED, public_version
from otad.publisher.roles import RELEASES, ROLLOUTS, SNAPSHOT, TIMESTAMP
from otad.publisher.sequence import LISTED, blobs_of
from otad.publisher.workspace import Workspace

KEPT_FOR = timedelta(days=90)
OURS = {
    "metadata": re.compile(r"\d+\.(targets|releases|rollouts|snapshot)\.json"),
    "targets": re.compile(r"[0-9a-f]{64}\..+\.json"),
    "blobs": re.compile(r"[0-9a-f]{64}"),
}
DRAFT = re.compile(r"\.draft-.+")


@dataclass(frozen=True)
class Freed:
    """files: those that went, or would go; bytes: what that frees (a file with two names counts once)."""

    files: tuple[Path, ...]
    bytes: int


def collect(ws: Workspace, out: Path, *, now: datetime, dry_run: bool = False, progress: Progress = quiet) -> Freed:
    """Delete what nobody is led to, from `ws` and from `out`, where it was published; only look, for a `dry_run`.

    Raises RetryLater("locked"), Rejected("publish-first") when `out` does not show what `ws` sealed last.
    """
    if public_version(out) != ws.roles.version(TIMESTAMP):
        what = f"{out} does not show what was sealed last in {ws.path}"
        raise Rejected("publish-first", what, "Run `otarepo publish`, then this", who=Who.INTEGRATOR)
    with ws.writing("gc"), one_writer(out, "gc"):
        keep = kept(ws, now)
        files = tuple(file for place in (out, ws.path) for file in _beyond(place, keep))
        sizes = {(found.st_dev, found.st_ino): found.st_size for found in (file.stat() for file in files)}
        for done, file in enumerate(files if not dry_run else (), 1):
            durable.remove(file)
            progress("deleting", done, len(files))
        return Freed(files, sum(sizes.values()))


def kept(ws: Workspace, now: datetime) -> set[Path]:
    """Everything that stays at `now`, besides roots and timestamp.json; relative to the workspace."""
    files, listed = set(), {(role, ws.roles.version(role)) for role in LISTED}
    for version in _recent(ws, now):
        files.add(ws.roles.path(SNAPSHOT, version))
        named = ws.roles.snapshot(version).meta
        listed |= {(name.removesuffix(".json"), meta.version) for name, meta in named.items()}
    files |= {ws.roles.path(role, version) for role, version in listed}
    named_by = [ws.roles.targets(role, version) for role, version in listed if role in (RELEASES, ROLLOUTS)]
    if waiting := ws.roles.proposal(RELEASES):
        named_by.append(waiting.signed)
    for targets in named_by:
        files |= {ws.document(target) for target in targets.targets.values()}
        files.update(blobs_of(ws, targets))
    return {file.relative_to(ws.path) for file in files}


def _recent(ws: Workspace, now: datetime) -> Iterator[int]:
    """The newest snapshot, and those that were replaced less than 90 days ago."""
    versions = sorted(int(file.name.split(".")[0]) for file in ws.roles.folder.glob(f"*.{SNAPSHOT}.json"))
    yield from versions[-1:]
    yield from (version for version, following in pairwise(versions) if _issued(ws.roles.snapshot(following)) > now - KEPT_FOR)


def _issued(snapshot: Snapshot) -> datetime:
    """When it was signed; where that does not stand in it, when it expires, which is later."""
    said = snapshot.unrecognized_fields.get(ISSUED)
    return datetime.fromisoformat(said.replace("Z", "+00:00")) if said else snapshot.expires


def _beyond(place: Path, keep: set[Path]) -> Iterator[Path]:
    """Files of `place` that do not stay."""
    for folder, ours in OURS.items():
        for file in sorted((place / folder).rglob("*")):
            known = ours.fullmatch(file.name) and file.relative_to(place) not in keep
            if file.is_file() and (known or DRAFT.fullmatch(file.name)):
                yield file
