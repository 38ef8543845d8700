"""From the workspace to static files that any web server can serve.

Rules:
 1. Sealing first: a snapshot and a timestamp over what is staged are signed in the workspace, before the outside changes.
 2. Then files appear in the order of `sequence.py`. A reader at any moment sees the old state or the new one. Killed on the way:
    do it again.
 3. While a new root takes keys of snapshot or timestamp away, the retired ones sign too, where they are still here: so there is
    no moment at which a reader of either root is refused.
 4. `refresh` is for a timer: it signs with online keys only, and publishes nothing that was staged since the last `publish`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Timestamp
from tuf.api.serialization import DeserializationError

from otad.errors import Rejected, Who
from otad.publisher.encode import Progress, quiet
from otad.publisher.lock import one_writer
from otad.publisher.roles import RELEASES, ROLLOUTS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from otad.publisher.sequence import LISTED, in_order, is_there, new_roots, place, sealed_versions
from otad.publisher.signing import waiting
from otad.publisher.workspace import Workspace

ISSUED = "x-issued"  # when a timestamp, the floor of a device's clock, and a snapshot were signed
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
        _acceptable(ws, now)
        _seal(ws, {role: ws.roles.version(role) for role in LISTED}, new_roots(ws, out)[:-1], now)
        return _deliver(ws, out, now, progress)


def refresh(ws: Workspace, out: Path, *, now: datetime, progress: Progress = quiet) -> Published:
    """Sign the timestamp anew, and snapshot and roll-outs when half their time is over.

    Raises Rejected("publish-first") when a new root or targets waits: those may take away the keys that this would sign with.
    """
    with ws.writing("refresh"), one_writer(out, "refresh"):
        _not_behind(ws, out)
        sealed = sealed_versions(ws)
        unpublished = [
            role for role in (ROOT, TARGETS) if not (out / "metadata" / ws.roles.path(role, ws.roles.version(role)).name).exists()
        ]
        if unpublished:
            what = f"a new {unpublished[0]} waits to be published"
            raise Rejected("publish-first", what, "Run `otarepo publish`", who=Who.INTEGRATOR)
        _seal(ws, sealed, (), now)
        return _deliver(ws, out, now, progress)


def _renew_rollouts(ws: Workspace, sealed: int, now: datetime) -> int:
    """Sign version `sealed` of the roll-outs again; what is staged beyond it is signed once more on top, and keeps its turn."""
    newest = ws.roles.version(ROLLOUTS)
    staged = ws.roles.targets(ROLLOUTS)
    ws.roles.save(ROLLOUTS, ws.roles.targets(ROLLOUTS, sealed), now=now)
    if newest > sealed:
        ws.roles.save(ROLLOUTS, staged, now=now)
    return newest + 1


def _seal(ws: Workspace, versions: dict[str, int], roots: Iterable[Root], now: datetime) -> None:
    """Sign the snapshot of `versions`, unless there is a good one, and a new timestamp; so that the older `roots` do too."""
    roles = ws.roles
    if _stale(ws, ROLLOUTS, roles.targets(ROLLOUTS, versions[ROLLOUTS]).expires, now):
        versions = {**versions, ROLLOUTS: _renew_rollouts(ws, versions[ROLLOUTS], now)}
    meta = {f"{role}.json": _meta(roles.path(role, version), version) for role, version in versions.items()}
    also = {role: {keyid for root in roots for keyid in root.roles[role].keyids} for role in (SNAPSHOT, TIMESTAMP)}
    issued = {ISSUED: now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if not _still_good(ws, meta, now):
        snapshot = Snapshot(expires=now, meta=meta, unrecognized_fields=dict(issued))
        roles.save(SNAPSHOT, snapshot, now=now, also=also[SNAPSHOT])
    version = roles.version(SNAPSHOT)
    names = _meta(roles.path(SNAPSHOT, version), version)
    timestamp = Timestamp(expires=now, snapshot_meta=names, unrecognized_fields=dict(issued))
    roles.save(TIMESTAMP, timestamp, now=now, also=also[TIMESTAMP])


def _still_good(ws: Workspace, meta: dict[str, MetaFile], now: datetime) -> bool:
    """Whether the newest snapshot says `meta`, for a while yet, signed as it must be."""
    roles = ws.roles
    if not roles.version(SNAPSHOT) or not roles.accepted(SNAPSHOT):
        return False
    return roles.snapshot().meta == meta and not _stale(ws, SNAPSHOT, roles.snapshot().expires, now)


def _meta(path: Path, version: int) -> MetaFile:
    return MetaFile.from_data(version, path.read_bytes(), ["sha256"])


def _stale(ws: Workspace, role: str, expires: datetime, now: datetime) -> bool:
    return expires - now < ws.roles.lifetimes[role] / 2


def _deliver(ws: Workspace, out: Path, now: datetime, progress: Progress) -> Published:
    new = [file for file in in_order(ws, out) if not is_there(file, ws, out)]
    for done, file in enumerate(new):
        progress("publishing", done, len(new))
        place(file, ws, out)
    progress("publishing", len(new), len(new))
    return Published(ws.roles.timestamp().version, len(new), tuple(_expiring(ws, now)))


def _acceptable(ws: Workspace, now: datetime) -> None:
    """Everything is signed by the keys that it needs now. Roll-outs are signed anew: their key is online."""
    if waits := waiting(ws):
        what = "; ".join(map(str, waits))
        raise Rejected("signatures-missing", what, "See `otarepo sign`, or give it up: `otarepo sign drop`", who=Who.INTEGRATOR)
    if not ws.roles.accepted(ROLLOUTS):
        ws.roles.save(ROLLOUTS, ws.roles.targets(ROLLOUTS), now=now)
    for role in LISTED:
        if not ws.roles.accepted(role):
            what = f"the staged {role} is not signed by the keys that it needs now, and devices would refuse it"
            raise Rejected("publish-unsigned", what, f"Sign it: otarepo key renew {ws.path} {role}", who=Who.INTEGRATOR)


def public_version(out: Path) -> int:
    """Of the timestamp that is public in `out`; 0 when there is none. Raises Rejected("publish-diverged")."""
    there = out / "metadata" / f"{TIMESTAMP}.json"
    try:
        return Metadata[Timestamp].from_bytes(there.read_bytes()).signed.version if there.exists() else 0
    except DeserializationError as error:
        what = f"{there} is no timestamp: {error}"
        raise Rejected(
            "publish-diverged", what, "Find out who wrote it; then delete it, and publish", who=Who.INTEGRATOR
        ) from error


def _not_behind(ws: Workspace, out: Path) -> None:
    if (version := public_version(out)) > ws.roles.version(TIMESTAMP):
        what = f"{out} has timestamp {version}, this workspace only {ws.roles.version(TIMESTAMP)}"
        raise Rejected(
            "publish-behind", what, "Use the workspace that published last, or bring this one up to date", who=Who.INTEGRATOR
        )


def _expiring(ws: Workspace, now: datetime) -> Iterator[tuple[str, datetime]]:
    signed = {ROOT: ws.roles.root().expires, **{role: ws.roles.targets(role).expires for role in (TARGETS, RELEASES)}}
    yield from ((role, expires) for role, expires in signed.items() if expires - now < NOTICE)
