"""The TUF roles of a workspace: their metadata on disk, and the one way to sign them.

Rules:
 1. `<version>.<role>.json`, never changed once written (timestamp.json, which has no version in its name, aside). The highest
    version is what will be published next.
 2. Nothing is written that its delegator would not accept: every signature is made, then verified against the threshold.
 3. A new root is signed by the old root's keys and by its own, so that a device can walk from any root to the newest.
 4. Role names are fixed for ever, delegations terminate: the online key is never asked for a release
    (The Update Framework, specification 1.0.34, sections 4.5 and 5.6.7).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from otad.errors import OtadError, Who
from otad.publisher import drafts
from otad.publisher.keys import KeyFolder

ROLES = ("root", "targets", "releases", "rollouts", "snapshot", "timestamp")
ROOT, TARGETS, RELEASES, ROLLOUTS, SNAPSHOT, TIMESTAMP = ROLES
ONLINE = (ROLLOUTS, SNAPSHOT, TIMESTAMP)
DELEGATED: Mapping[str, tuple[str, ...]] = {RELEASES: ("releases/*/*", "encodings/*/*"), ROLLOUTS: ("rollouts/*",)}
LIFETIMES: Mapping[str, timedelta] = {
    ROOT: timedelta(days=395),  # 13 months
    TARGETS: timedelta(days=395),
    RELEASES: timedelta(days=183),  # 6 months
    ROLLOUTS: timedelta(days=7),
    SNAPSHOT: timedelta(days=7),
    TIMESTAMP: timedelta(hours=48),
}

Part = Root | Targets | Snapshot | Timestamp


class Roles:
    """Loads, signs and saves metadata in `folder`. `lifetimes`: role -> how long a signature is good for."""

    def __init__(self, folder: Path, keys: KeyFolder, lifetimes: Mapping[str, timedelta]) -> None:
        self.folder = folder
        self.keys = keys
        self.lifetimes = lifetimes

    def path(self, role: str, version: int) -> Path:
        """Where that version is, or will be."""
        return self.folder / (f"{TIMESTAMP}.json" if role == TIMESTAMP else f"{version}.{role}.json")

    def version(self, role: str) -> int:
        """The newest version on disk; 0 when there is none."""
        if role == TIMESTAMP:
            return self.timestamp().version if self.path(TIMESTAMP, 0).exists() else 0
        return max((int(file.name.split(".")[0]) for file in self.folder.glob(f"*.{role}.json")), default=0)

    def root(self, version: int = 0) -> Root:
        """The newest root, or that version."""
        return Metadata[Root].from_bytes(self._read(ROOT, version)).signed

    def targets(self, role: str, version: int = 0) -> Targets:
        """The newest metadata of targets, releases or rollouts, or that version."""
        return Metadata[Targets].from_bytes(self._read(role, version)).signed

    def snapshot(self) -> Snapshot:
        """The newest snapshot: what was last put together for publishing."""
        return Metadata[Snapshot].from_bytes(self._read(SNAPSHOT)).signed

    def timestamp(self) -> Timestamp:
        """The newest timestamp."""
        return Metadata[Timestamp].from_bytes(self._read(TIMESTAMP)).signed

    def holders(self, role: str) -> Role:
        """Whose signatures `role` needs now: key ids and threshold."""
        return self._delegator(role).get_delegated_role(role)

    def signed_by(self, role: str) -> Collection[str]:
        """Ids of the keys whose signatures the newest metadata of `role` has."""
        metadata: Metadata[Any] = Metadata.from_bytes(self._read(role))
        return metadata.signatures.keys()

    def accepted(self, role: str) -> bool:
        """Whether the newest metadata of `role` is signed as its delegator demands today (after a rotation it may not be)."""
        metadata: Metadata[Any] = Metadata.from_bytes(self._read(role))
        return bool(self._delegator(role).get_verification_result(role, metadata.signed_bytes, metadata.signatures))

    def save(self, role: str, signed: Part, *, now: datetime, also: Collection[str] = ()) -> None:
        """Sign `signed` as the next version of `role`, good from `now` for its lifetime, and write it.

        The keys `also`, retired ones too, sign where they are here, for readers that do not know the newest root yet.
        Raises OtadError("keys-missing") when fewer keys than the threshold are here.
        """
        signed.version = self.version(role) + 1
        signed.expires = now.replace(microsecond=0) + self.lifetimes[role]
        metadata: Metadata[Any] = Metadata(signed)
        judges = self._judges(role, signed)
        wanted = {keyid for judge in judges for keyid in judge.get_delegated_role(role).keyids}
        for signer in (*self.keys.signers(wanted.union(also)), *self.keys.retired.signers(also)):
            metadata.sign(signer, append=True)
        for judge in judges:
            result = judge.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
            if not result:
                raise self._missing(role, len(result.signed), result.threshold, list(result.unsigned))
        drafts.write(self.path(role, signed.version), metadata.to_bytes())

    def _judges(self, role: str, signed: Part) -> list[Root | Targets]:
        if not isinstance(signed, Root):
            return [self._delegator(role)]
        return [signed] if signed.version == 1 else [self.root(), signed]

    def _delegator(self, role: str) -> Root | Targets:
        return self.targets(TARGETS) if role in DELEGATED else self.root()

    def _read(self, role: str, version: int = 0) -> bytes:
        path = self.path(role, version or (1 if role == TIMESTAMP else self.version(role)))
        if not path.exists():
            raise OtadError("metadata-missing", f"{path} is not here", "Restore it from a backup, or from what was published")
        return path.read_bytes()

    def _missing(self, role: str, have: int, threshold: int, absent: list[str]) -> OtadError:
        names = ", ".join(sorted(self.keys.name(keyid) or keyid[:16] for keyid in absent))
        return OtadError(
            "keys-missing",
            f"cannot sign {role}: {have} of {threshold} signatures; missing: {names}",
            f"Put the private keys into {self.keys.path}, or sign where they are",
            who=Who.INTEGRATOR,
        )


def first_root(keys: Mapping[str, list[Key]], thresholds: Mapping[str, int], now: datetime) -> Root:
    """Version 1 of root; `keys` and `thresholds` by top-level role. A role without a threshold has 1."""
    root = Root(expires=now, consistent_snapshot=True)
    for role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
        for key in keys[role]:
            root.add_key(key, role)
        root.roles[role].threshold = thresholds.get(role, 1)
    return root


def first_targets(keys: Mapping[str, list[Key]], now: datetime) -> Targets:
    """Version 1 of targets: nothing but the two delegations."""
    held = {key.keyid: key for role in DELEGATED for key in keys[role]}
    roles = {
        role: DelegatedRole(role, [key.keyid for key in keys[role]], threshold=1, terminating=True, paths=list(paths))
        for role, paths in DELEGATED.items()
    }
    return Targets(expires=now, delegations=Delegations(held, roles))
