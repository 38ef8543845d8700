"""In which order files become public, so that a reader at any moment finds everything that it is led to.

Rules:
 1. Files appear in the order in which they refer to each other: blobs, documents, roots, targets, releases, roll-outs, snapshot,
    and timestamp.json last: with it the new state begins.
 2. A new root that takes away the keys of what is public comes after timestamp.json instead, when the new state is signed by the
    keys of both: else a reader between the two would have the new root, and the old state that it refuses. Where the old keys are
    gone, root comes first as ever; a reader that is refused in between asks again later.
 3. Nothing but timestamp.json is ever replaced, and a file that exists with other bytes stops everything.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api.exceptions import StorageError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from otad.errors import Rejected, Who
from otad.formats.encodings import Encodings
from otad.publisher import drafts
from otad.publisher.release import grant_of
from otad.publisher.roles import RELEASES, ROLLOUTS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from otad.publisher.workspace import Workspace

LISTED = (TARGETS, RELEASES, ROLLOUTS)  # what a snapshot names, in publishing order
TOP = (TARGETS, SNAPSHOT, TIMESTAMP)  # what root itself names keys for, besides root


def in_order(ws: Workspace, out: Path) -> Iterator[Path]:
    """Every file of the sealed state of `ws`, in the order in which they may appear in `out`."""
    roles = ws.roles
    sealed = sealed_versions(ws)
    listed = [roles.targets(role, sealed[role]) for role in (RELEASES, ROLLOUTS)]
    yield from dict.fromkeys(blob for targets in listed for blob in blobs_of(ws, targets))
    yield from (ws.document(target) for targets in listed for target in targets.targets.values())
    roots = [roles.path(ROOT, version) for version in range(1, roles.version(ROOT) + 1)]
    state = [*(roles.path(role, sealed[role]) for role in LISTED), roles.path(SNAPSHOT, roles.version(SNAPSHOT))]
    state.append(roles.path(TIMESTAMP, 0))
    yield from (*state, *roots) if _root_last(ws, out) else (*roots, *state)


def blobs_of(ws: Workspace, targets: Targets) -> Iterator[Path]:
    """The blobs of the releases that `targets` lists. Nobody fetches those of a withdrawn one."""
    for path, target in targets.targets.items():
        if path.startswith("encodings/") and not grant_of(targets.targets[path.replace("encodings/", "releases/", 1)]).withdrawn:
            ways = Encodings.decode(ws.read(target), path).of.values()
            yield from (ws.blobs / way.blob for all_ways in ways for way in all_ways)


def sealed_versions(ws: Workspace) -> dict[str, int]:
    """Role -> version in the last sealed state. Raises Rejected("publish-first") when there is none."""
    if not ws.roles.version(SNAPSHOT):
        raise Rejected("publish-first", f"nothing was published from {ws.path} yet", "Run `otarepo publish`", who=Who.INTEGRATOR)
    return {name.removesuffix(".json"): meta.version for name, meta in ws.roles.snapshot().meta.items()}


def new_roots(ws: Workspace, out: Path) -> list[Root]:
    """The newest root of `out`, if it has one, and those of `ws` that follow it."""
    there = [version for version in range(1, ws.roles.version(ROOT) + 1) if (out / "metadata" / f"{version}.root.json").exists()]
    return [ws.roles.root(version) for version in range(max(there, default=1), ws.roles.version(ROOT) + 1)]


def place(file: Path, ws: Workspace, out: Path) -> None:
    """Make one file of the workspace public."""
    goal = out / file.relative_to(ws.path)
    if file.parent == ws.blobs:
        drafts.link(file, goal)
    else:
        drafts.copy(file, goal)


def is_there(file: Path, ws: Workspace, out: Path) -> bool:
    """Whether `file` is public already. Raises Rejected("publish-diverged") when something else has its name."""
    goal = out / file.relative_to(ws.path)
    if not goal.exists() or file.name == f"{TIMESTAMP}.json":
        return False
    blob = file.parent == ws.blobs  # named by its hash, and too long to compare each time
    same = goal.stat().st_size == file.stat().st_size if blob else filecmp.cmp(file, goal, shallow=False)
    if not same:
        what = f"{goal} differs from {file}"
        raise Rejected(
            "publish-diverged", what, "Publish to a place from one workspace only; find out which is right", who=Who.INTEGRATOR
        )
    return True


def _root_last(ws: Workspace, out: Path) -> bool:
    roots = new_roots(ws, out)
    if len(roots) < 2 or not (out / "metadata" / f"{TIMESTAMP}.json").exists():  # noqa: PLR2004  the one that is there, and another
        return False
    new = all(_accepts(root, ws.path / "metadata") for root in roots)
    return new and not all(_accepts(root, out / "metadata") for root in roots)


def _accepts(root: Root, metadata: Path) -> bool:
    """Whether the state in a folder of metadata is there, and signed as `root` asks for."""
    try:
        timestamp = Metadata[Timestamp].from_file(str(metadata / f"{TIMESTAMP}.json"))
        snapshot = Metadata[Snapshot].from_file(str(metadata / f"{timestamp.signed.snapshot_meta.version}.{SNAPSHOT}.json"))
        version = snapshot.signed.meta[f"{TARGETS}.json"].version
        targets: Metadata[Any] = Metadata.from_file(str(metadata / f"{version}.{TARGETS}.json"))
    except (StorageError, DeserializationError):
        return False
    state: tuple[Metadata[Any], ...] = (targets, snapshot, timestamp)
    return all(root.get_verification_result(role, one.signed_bytes, one.signatures) for role, one in zip(TOP, state, strict=True))
