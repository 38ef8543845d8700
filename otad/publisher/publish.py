"""From the workspace to static files that any web server can serve.

Rules:
 1. Sealing first: a snapshot and a timestamp over what is staged are signed in the workspace, before the outside changes.
 2. Then files appear in the order in which they refer to each other: blobs, documents, roots, targets, releases, roll-outs,
    snapshot, and timestamp.json last. A reader at any moment sees the old state or the new one. Killed on the way: do it again.
 3. Nothing but timestamp.json is ever replaced, and a file that exists with other bytes stops everything: then two workspaces
    publish to one place.
 4. `refresh` is for a timer: it signs with online keys only, and publishes nothing that was staged since the last `publish`.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from otad.errors import Rejected, Who
from otad.formats.encodings import Encodings
from otad.publisher import drafts
from otad.publisher.encode import Progress, quiet
from otad.publisher.lock import one_writer
from otad.publisher.roles import RELEASES, ROLLOUTS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from otad.publisher.workspace import Workspace

LISTED = (TARGETS, RELEASES, ROLLOUTS)  # what a snapshot names, in publishing order
ISSUED = "x-issued"  # in the timestamp: when it was signed; the floor of a device's clock
NOTICE = timedelta(days=30)  # how early an offline signature that runs out is spoken of


@dataclass(frozen=True)
class Published:
    """timestamp: its version; files: how many appeared; expiring: offline roles that run out within 30 days, and when."""

    timestamp: int
    files: int
    expiring: tuple[tuple[str, datetime], ...]


def publish(ws: Workspace, out: Path, *, now: datetime, progress: Progress = quiet) -> Published:
    """Publish all that is staged in `ws` to the folder `out`. Raises RetryLater("locked"), Rejected("publish-diverged")."""
    with ws.writing("publish"), one_writer(out, "publish"):
        _not_behind(ws, out)
        _acceptable(ws)
        _seal(ws, {role: ws.roles.version(role) for role in LISTED}, now)
        return _deliver(ws, out, now, progress)


def refresh(ws: Workspace, out: Path, *, now: datetime, progress: Progress = quiet) -> Published:
    """Sign the timestamp anew, and snapshot and roll-outs when half their time is over.

    Raises Rejected("publish-first") when a new root or targets waits: those may take away the keys that this would sign with.
    """
    with ws.writing("refresh"), one_writer(out, "refresh"):
        _not_behind(ws, out)
        sealed = sealed_versions(ws)
        waiting = [
            role for role in (ROOT, TARGETS) if not (out / "metadata" / ws.roles.path(role, ws.roles.version(role)).name).exists()
        ]
        if waiting:
            what = f"a new {waiting[0]} waits to be published"
            raise Rejected("publish-first", what, "Run `otarepo publish`", who=Who.INTEGRATOR)
        _seal(ws, sealed, now)
        return _deliver(ws, out, now, progress)


def sealed_versions(ws: Workspace) -> dict[str, int]:
    """Role -> version in the last sealed state. Raises Rejected("publish-first") when there is none."""
    if not ws.roles.version(SNAPSHOT):
        raise Rejected("publish-first", f"nothing was published from {ws.path} yet", "Run `otarepo publish`", who=Who.INTEGRATOR)
    return {name.removesuffix(".json"): meta.version for name, meta in ws.roles.snapshot().meta.items()}


def _renew_rollouts(ws: Workspace, sealed: int, now: datetime) -> int:
    """Sign version `sealed` of the roll-outs again; what is staged beyond it is signed once more on top, and keeps its turn."""
    newest = ws.roles.version(ROLLOUTS)
    staged = ws.roles.targets(ROLLOUTS)
    ws.roles.save(ROLLOUTS, ws.roles.targets(ROLLOUTS, sealed), now=now)
    if newest > sealed:
        ws.roles.save(ROLLOUTS, staged, now=now)
    return newest + 1


def _seal(ws: Workspace, versions: dict[str, int], now: datetime) -> None:
    """Sign the snapshot of `versions`, unless there is a good one, and a new timestamp."""
    roles = ws.roles
    if _stale(ws, ROLLOUTS, roles.targets(ROLLOUTS, versions[ROLLOUTS]).expires, now):
        versions = {**versions, ROLLOUTS: _renew_rollouts(ws, versions[ROLLOUTS], now)}
    meta = {f"{role}.json": _meta(roles.path(role, version), version) for role, version in versions.items()}
    known = roles.version(SNAPSHOT)
    if (
        not known
        or roles.snapshot().meta != meta
        or _stale(ws, SNAPSHOT, roles.snapshot().expires, now)
        or not roles.accepted(SNAPSHOT)
    ):
        roles.save(SNAPSHOT, Snapshot(expires=now, meta=meta), now=now)
    version = roles.version(SNAPSHOT)
    issued = now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = _meta(roles.path(SNAPSHOT, version), version)
    roles.save(TIMESTAMP, Timestamp(expires=now, snapshot_meta=names, unrecognized_fields={ISSUED: issued}), now=now)


def _meta(path: Path, version: int) -> MetaFile:
    return MetaFile.from_data(version, path.read_bytes(), ["sha256"])


def _stale(ws: Workspace, role: str, expires: datetime, now: datetime) -> bool:
    return expires - now < ws.roles.lifetimes[role] / 2


def _deliver(ws: Workspace, out: Path, now: datetime, progress: Progress) -> Published:
    files = list(in_order(ws))
    new = [file for file in files if not _there(file, ws, out)]
    for done, file in enumerate(new):
        progress("publishing", done, len(new))
        place(file, ws, out)
    progress("publishing", len(new), len(new))
    return Published(ws.roles.timestamp().version, len(new), tuple(_expiring(ws, now)))


def in_order(ws: Workspace) -> Iterator[Path]:
    """Every file of the sealed state, in the order in which they may appear."""
    roles = ws.roles
    sealed = sealed_versions(ws)
    targets = [target for role in (RELEASES, ROLLOUTS) for target in roles.targets(role, sealed[role]).targets.values()]
    yield from _blobs(ws, (ws.read(target) for target in targets if target.path.startswith("encodings/")))
    yield from (ws.document(target) for target in targets)
    yield from (roles.path(ROOT, version) for version in range(1, roles.version(ROOT) + 1))
    yield from (roles.path(role, sealed[role]) for role in LISTED)
    yield roles.path(SNAPSHOT, roles.version(SNAPSHOT))
    yield roles.path(TIMESTAMP, 0)


def place(file: Path, ws: Workspace, out: Path) -> None:
    """Make one file of the workspace public."""
    goal = out / file.relative_to(ws.path)
    if file.parent == ws.blobs:
        drafts.link(file, goal)
    else:
        drafts.copy(file, goal)


def _blobs(ws: Workspace, documents: Iterable[bytes]) -> Iterator[Path]:
    seen: dict[str, None] = {}
    for document in documents:
        for ways in Encodings.decode(document, "encodings").of.values():
            seen.update(dict.fromkeys(way.blob for way in ways))
    yield from (ws.blobs / blob for blob in seen)


def _there(file: Path, ws: Workspace, out: Path) -> bool:
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


def _acceptable(ws: Workspace) -> None:
    for role in LISTED:
        if not ws.roles.accepted(role):
            what = f"the staged {role} is not signed by the keys that it needs now, and devices would refuse it"
            raise Rejected("publish-unsigned", what, f"Sign it: otarepo key renew {ws.path} {role}", who=Who.INTEGRATOR)


def _not_behind(ws: Workspace, out: Path) -> None:
    there = out / "metadata" / f"{TIMESTAMP}.json"
    if not there.exists():
        return
    version = Metadata[Timestamp].from_bytes(there.read_bytes()).signed.version
    if version > ws.roles.version(TIMESTAMP):
        what = f"{out} has timestamp {version}, this workspace only {ws.roles.version(TIMESTAMP)}"
        raise Rejected(
            "publish-behind", what, "Use the workspace that published last, or bring this one up to date", who=Who.INTEGRATOR
        )


def _expiring(ws: Workspace, now: datetime) -> Iterator[tuple[str, datetime]]:
    signed = {ROOT: ws.roles.root().expires, **{role: ws.roles.targets(role).expires for role in (TARGETS, RELEASES)}}
    yield from ((role, expires) for role, expires in signed.items() if expires - now < NOTICE)
