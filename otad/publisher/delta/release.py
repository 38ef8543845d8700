"""Deltas of published releases: devices that run one release get the next one in a fraction of its bytes.

Rules:
 1. A delta is made and proved in `scratch/` first, while others may use the workspace; what a kill left there goes with the next
    run. Then its blob is named, then the encodings, then the signature that lists them: killed anywhere, nothing half is listed.
 2. One that does not save at least a tenth of the best full encoding is not worth a device's work, and is not published.
 3. A release keeps all encodings that it had.
 4. Keys are opened before the work: a wrong passphrase must not cost the minutes that it takes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import zstandard
from tuf.api.metadata import TargetFile, Targets

from otad.delta.format import Header
from otad.errors import Corrupt, Rejected, Who
from otad.formats.encodings import Encoding, Encodings
from otad.formats.release import PayloadKind, Release
from otad.publisher import drafts
from otad.publisher.delta.ledger import Ledger
from otad.publisher.delta.make import Payload, make
from otad.publisher.delta.proof import proved
from otad.publisher.delta.scratch import scratch
from otad.publisher.encode import PIECE, Progress, fingerprint, quiet
from otad.publisher.grants import standing
from otad.publisher.release import find, path_of
from otad.publisher.roles import RELEASES, TARGETS
from otad.publisher.workspace import Workspace

SCRATCH = "scratch"
WORTH = 10  # part of the best full encoding that a delta must save


@dataclass(frozen=True)
class Outcome:
    """What became of one pair of releases.

    length  bytes of the delta
    full    bytes of the best full encoding
    listed  whether it is published
    before  bytes of the delta that was listed already; None: none was
    """

    base: str
    version: str
    length: int
    full: int
    listed: bool
    ledger: Ledger
    before: int | None = None


@dataclass(frozen=True)
class _Bundle:
    """The system payload of a release, and how it travels so far."""

    version: str
    sha256: str
    ways: tuple[Encoding, ...]

    @property
    def full(self) -> int:
        """Bytes of the best encoding that needs no base."""
        return min(way.length for way in self.ways if way.base is None)


def add(
    ws: Workspace,
    base: str,
    version: str,
    *,
    now: datetime,
    repack: bool = True,
    again: bool = False,
    progress: Progress = quiet,
) -> Outcome | None:
    """Make the delta from `base` to `version`, and list it.

    repack  see `make`
    again   when there is one already, make it once more, to be looked at: nothing is stored. None is returned otherwise

    Raises RetryLater("locked"), Rejected("key-locked"), Rejected("release-unknown"), Rejected("release-withdrawn"),
    Rejected("delta-same"), Rejected("blob-missing"), Rejected("delta-too-large"), Corrupt("delta-wrong").
    """
    releases = ws.roles.next_targets(RELEASES)
    standing(find(ws, releases, version), version)
    old, new = (_bundle(ws, releases, one) for one in (base, version))
    if old.sha256 == new.sha256:
        what = f"{base} and {version} have the same system image"
        raise Rejected("delta-same", what, "A device that has the one needs nothing of the other", who=Who.INTEGRATOR)
    listed = next((way.length for way in new.ways if way.base == old.sha256), None)
    if listed is None:
        _unlock(ws)
    elif not again:
        return None
    with scratch(ws.path / SCRATCH) as work:
        before, after = (Payload.of(_file(ws, one, work, progress), progress) for one in (old, new))
        patch = work / "delta"
        with patch.open("wb") as out:
            ledger = make(before, after, out, work, repack=repack, progress=progress)
        length = patch.stat().st_size
        worth = length <= new.full - new.full // WORTH
        if worth and listed is None:
            _list(ws, new, _way(patch, old, proved(before, after, patch, work, progress)), patch, now)
        return Outcome(base, version, length, new.full, worth or listed is not None, ledger, listed)


def _unlock(ws: Workspace) -> None:
    """Open the keys that will sign, those that are here: rule 4."""
    judges = (ws.roles.targets(TARGETS), ws.roles.next_targets(TARGETS))
    ws.keys.signers(keyid for judge in judges for keyid in judge.get_delegated_role(RELEASES).keyids)


def _way(patch: Path, old: _Bundle, header: Header) -> Encoding:
    blob, length = fingerprint(patch)
    return Encoding(type="delta", blob=blob, length=length, base=old.sha256, memory=header.memory, needs=header.needs)


def _list(ws: Workspace, new: _Bundle, way: Encoding, patch: Path, now: datetime) -> None:
    """The blob first, then the document, then the signature."""
    with ws.writing("delta"):
        releases = ws.roles.next_targets(RELEASES)
        standing(find(ws, releases, new.version), new.version)
        drafts.copy(patch, ws.blobs / way.blob)
        document = _encodings(ws, releases, new.version)
        ways = sorted((*document.of[new.sha256], way), key=lambda one: one.length)
        grown = document.model_copy(update={"of": {**document.of, new.sha256: tuple(ways)}})
        listed = ws.store(path_of(ws.product, new.version, "encodings"), grown)
        releases.targets[listed.path] = listed
        ws.roles.save(RELEASES, releases, now=now)


def _bundle(ws: Workspace, releases: Targets, version: str) -> _Bundle:
    target = find(ws, releases, version)
    release = Release.decode(ws.read(target), target.path)
    system = [payload for payload in release.payloads if payload.kind is PayloadKind.SYSTEM]
    if not system:
        what = f"{version} brings no system image"
        raise Rejected("delta-no-system", what, "Deltas are made of system images", who=Who.INTEGRATOR)
    return _Bundle(version, system[0].sha256, _encodings(ws, releases, version).of[system[0].sha256])


def _encodings(ws: Workspace, releases: Targets, version: str) -> Encodings:
    target: TargetFile = releases.targets[path_of(ws.product, version, "encodings")]
    return Encodings.decode(ws.read(target), target.path)


def _file(ws: Workspace, bundle: _Bundle, work: Path, progress: Progress) -> Path:
    """The bundle itself: as it is published, or decompressed. Raises Rejected("blob-missing"), Corrupt("blob-changed")."""
    blobs = {way.type: ws.blobs / way.blob for way in bundle.ways if way.base is None}
    here = {kind: blob for kind, blob in blobs.items() if blob.exists()}
    if "plain" in here:
        return here["plain"]
    if "zstd" not in here:
        what = f"the blob of {bundle.version} is not in {ws.blobs} any more"
        remedy = "Copy it there from what was published; `otarepo gc` deletes those of withdrawn releases"
        raise Rejected("blob-missing", what, remedy, who=Who.INTEGRATOR)
    return _decompressed(here["zstd"], bundle, work, progress)


def _decompressed(blob: Path, bundle: _Bundle, work: Path, progress: Progress) -> Path:
    file, digest = work / f"{bundle.version}.swu", hashlib.sha256()
    with blob.open("rb") as packed, file.open("wb") as out:
        for piece in zstandard.ZstdDecompressor(max_window_size=1 << 27).read_to_iter(packed, read_size=PIECE):
            digest.update(piece)
            out.write(piece)
            progress(f"unpacking {bundle.version}", packed.tell(), blob.stat().st_size)
    if digest.hexdigest() != bundle.sha256:
        what = f"{blob} does not hold the bundle of {bundle.version}"
        raise Corrupt("blob-changed", what, "Copy it there from what was published", who=Who.INTEGRATOR)
    return file
