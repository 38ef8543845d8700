"""Releases: what is published. What may be done with one is in `grants.py`.

Rules:
 1. A version is one release for ever: the same content again changes nothing, another content is refused. None is ever taken off
    the list.
 2. Order: blobs, then documents, then the signature that names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from otad.errors import Rejected, Who
from otad.formats.encodings import Encodings
from otad.formats.grant import Grant
from otad.formats.release import Payload, PayloadKind, Release
from otad.publisher import bundle
from otad.publisher.encode import Coding, Progress, encode, fingerprint, quiet
from otad.publisher.notation import checked
from otad.publisher.roles import RELEASES
from otad.publisher.workspace import Workspace

DEFAULT = Coding()
SYSTEM = "system"  # the name of the system payload


@dataclass(frozen=True)
class NewRelease:
    """What a release is to be. See `otad.formats.release.Release`; `back_to` goes into its grant.

    system  the bundle (`.swu`)
    """

    version: str
    hardware: Sequence[str]
    system: Path
    min_version: str | None = None
    critical: bool = False
    notes: str = ""
    back_to: Sequence[str] = ()


def add(ws: Workspace, new: NewRelease, coding: Coding = DEFAULT, *, now: datetime, progress: Progress = quiet) -> bool:
    """Encode, describe and sign a release. True when it is new or its grant grew, False when nothing changed.

    Raises Rejected("release-differs") when the version exists with other content, and what `bundle.check` raises.
    """
    with ws.writing("release"):
        release = _release(ws.product, new, progress)
        releases = ws.roles.next_targets(RELEASES)
        path = path_of(ws.product, new.version)
        known = releases.targets.get(path)
        grant = grant_of(known) if known else Grant()
        wider = back_to(grant, new.back_to)
        if known and known.hashes["sha256"] != hashlib.sha256(release.encode()).hexdigest():
            what = f"{ws.product} {new.version} is already published with other content"
            raise Rejected("release-differs", what, "Give the new content a new version", who=Who.INTEGRATOR)
        if known and wider == grant:
            return False
        target = known or _store(ws, releases, release, new.system, coding, progress)
        put_grant(releases, target, wider)
        ws.roles.save(RELEASES, releases, now=now)
        return True


def path_of(product: str, version: str, kind: str = "releases") -> str:
    """The TUF target path of a release, or (`kind`) of its encodings."""
    return f"{kind}/{product}/{version}.json"


def find(ws: Workspace, releases: Targets, version: str) -> TargetFile:
    """The target of `version`. Raises Rejected("release-unknown") naming those that exist."""
    target = releases.targets.get(path_of(ws.product, version))
    if target is None:
        known = ", ".join(versions(ws, releases)) or "none"
        what = f"there is no release {version} (there is: {known})"
        raise Rejected("release-unknown", what, "Add it with `otarepo release`", who=Who.INTEGRATOR)
    return target


def versions(ws: Workspace, releases: Targets) -> list[str]:
    """The versions of all releases, in the order in which they were added."""
    start = path_of(ws.product, "").removesuffix(".json")
    return [path[len(start) : -len(".json")] for path in releases.targets if path.startswith(start)]


def grant_of(target: TargetFile) -> Grant:
    """The grant that stands in a release's target."""
    return Grant.model_validate(target.custom or {})


def put_grant(releases: Targets, target: TargetFile, grant: Grant) -> None:
    """List the release `target` with `grant`."""
    target.unrecognized_fields["custom"] = grant.model_dump(mode="json")
    releases.targets[target.path] = target


def back_to(grant: Grant, versions: Sequence[str]) -> Grant:
    """`grant`, that allows to go back to each of `versions` too."""
    more = tuple(version for version in dict.fromkeys(versions) if version not in grant.back_to)
    return checked(Grant, "back-to", **{**dict(grant), "back_to": grant.back_to + more})


def _release(product: str, new: NewRelease, progress: Progress) -> Release:
    sha256, length = fingerprint(new.system, progress)
    disk = bundle.check(new.system, new.hardware)
    system = Payload(kind=PayloadKind.SYSTEM, name=SYSTEM, sha256=sha256, length=length, disk=disk)
    return checked(
        Release,
        "release-invalid",
        product=product,
        version=new.version,
        hardware=tuple(new.hardware),
        min_version=new.min_version,
        critical=new.critical,
        notes=new.notes,
        payloads=(system,),
    )


def _store(ws: Workspace, releases: Targets, release: Release, system: Path, coding: Coding, progress: Progress) -> TargetFile:
    """Blobs first, then both documents."""
    sha256 = release.payloads[0].sha256
    ways = encode(system, sha256, ws.blobs, coding, progress)
    target = ws.store(path_of(ws.product, release.version), release)
    encodings = Encodings(release=target.hashes["sha256"], of={sha256: ways})
    listed = ws.store(path_of(ws.product, release.version, "encodings"), encodings)
    releases.targets[listed.path] = listed
    return target
