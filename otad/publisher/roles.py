"""The TUF roles of a workspace: their metadata on disk, and the one way to sign them.

Rules:
 1. `<version>.<role>.json`, never changed once written (timestamp.json, which has no version in its name, aside). The highest
    version is what will be published next.
 2. Nothing stands there that its delegator would not accept: every signature is made, then verified against the threshold. What
    lacks signatures of an offline role is a proposal (`proposal.py`), and takes its place as soon as it has them. Until then the
    online roles go on as if it were not there.
 3. A new root is signed by the old root's keys and by its own, so that a device can walk from any root to the newest.
 4. Role names are fixed for ever, delegations terminate: the online key is never asked for a release
    (The Update Framework, specification 1.0.34, sections 4.5 and 5.6.7).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from tuf.api.exceptions import StorageError
from tuf.api.metadata import (
    Metadata,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from otad.errors import OtadError, Who
from otad.publisher import drafts
from otad.publisher.keys import KeyFolder
from otad.publisher.proposal import Proposals, accepts, lacks

ROLES = ("root", "targets", "releases", "rollouts", "snapshot", "timestamp")
ROOT, TARGETS, RELEASES, ROLLOUTS, SNAPSHOT, TIMESTAMP = ROLES
ONLINE = (ROLLOUTS, SNAPSHOT, TIMESTAMP)
OFFLINE = (ROOT, TARGETS, RELEASES)  # in the order in which each is judged by the one before it
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
        self.proposals = Proposals(folder.parent / "pending")

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
        return cast("Root", self.metadata(ROOT, version).signed)

    def targets(self, role: str, version: int = 0) -> Targets:
        """The newest metadata of targets, releases or rollouts, or that version."""
        return cast("Targets", self.metadata(role, version).signed)

    def snapshot(self, version: int = 0) -> Snapshot:
        """The newest snapshot, what was last put together for publishing; or that version."""
        return cast("Snapshot", self.metadata(SNAPSHOT, version).signed)

    def timestamp(self) -> Timestamp:
        """The newest timestamp."""
        return cast("Timestamp", self.metadata(TIMESTAMP).signed)

    def next_root(self) -> Root:
        """The root that a change starts from: the proposal, if there is one, else the newest."""
        waiting = self.proposal(ROOT)
        return waiting.signed if waiting else self.root()

    def next_targets(self, role: str) -> Targets:
        """The metadata of targets or releases that a change starts from: the proposal, if there is one, else the newest."""
        waiting = self.proposal(role)
        return waiting.signed if waiting else self.targets(role)

    def proposal(self, role: str) -> Metadata[Any] | None:
        """What waits for signatures to become the next version of `role`."""
        return self.proposals.read(role, self.version(role) + 1)

    def metadata(self, role: str, version: int = 0) -> Metadata[Any]:
        """The newest metadata of `role` with its signatures, or that version. Raises OtadError("metadata-missing")."""
        path = self.path(role, version or (1 if role == TIMESTAMP else self.version(role)))
        try:
            return Metadata.from_file(str(path))
        except (StorageError, DeserializationError) as error:
            what = f"{path} {'is damaged' if path.exists() else 'is not here'}"
            raise OtadError("metadata-missing", what, "Restore it from a backup, or from what was published") from error

    def holders(self, role: str) -> Role:
        """Whose signatures `role` needs: key ids and threshold, as proposed."""
        return (self.next_targets(TARGETS) if role in DELEGATED else self.next_root()).get_delegated_role(role)

    def signed_by(self, role: str) -> Collection[str]:
        """Ids of the keys whose signatures the newest metadata of `role` has."""
        return self.metadata(role).signatures.keys()

    def accepted(self, role: str) -> bool:
        """Whether the newest metadata of `role` is signed as its delegator demands today (after a rotation it may not be)."""
        return accepts([self._delegator(role)], role, self.metadata(role))

    def save(self, role: str, signed: Part, *, now: datetime, also: Collection[str] = ()) -> None:
        """Sign `signed` as the next version of `role`, good from `now` for its lifetime, with all keys that are here.

        It stands when its delegator accepts it; an offline role's is else proposed, in place of what was proposed before. The
        keys `also`, retired ones too, sign where they are here, for readers that do not know the newest root yet.
        Raises OtadError("keys-missing") for an online role that fewer keys than the threshold can sign here.
        """
        signed.version = self.version(role) + 1
        signed.expires = now.replace(microsecond=0) + self.lifetimes[role]
        metadata: Metadata[Any] = Metadata(signed)
        wanted = {keyid for judge in self.judges(role, signed) for keyid in judge.get_delegated_role(role).keyids}
        wanted.update(self.holders(role).keyids if role in OFFLINE and signed.version > 1 else ())
        for signer in (*self.keys.signers(wanted.union(also)), *self.keys.retired.signers(also)):
            metadata.sign(signer, append=True)
        if accepts(self.judges(role, signed), role, metadata):
            self._stand(role, metadata)
        elif role in OFFLINE:
            self.proposals.write(role, metadata)
        else:
            raise OtadError(
                "keys-missing",
                f"cannot sign {role}: it {lacks(self.judges(role, signed), role, metadata, self.name)}",
                f"Put the private key into {self.keys.path}, or do this where it is",
                who=Who.INTEGRATOR,
            )

    def settle(self) -> None:
        """Proposals that have what they need take their place, each before those that it judges."""
        for role in OFFLINE:
            waiting = self.proposal(role)
            if waiting and accepts(self.judges(role, waiting.signed), role, waiting):
                self._stand(role, waiting)

    def judges(self, role: str, signed: Part) -> list[Root | Targets]:
        """Who decides about `signed` as the next version of `role`: its delegator; a root by the one before it, and by itself."""
        if not isinstance(signed, Root):
            return [self._delegator(role)]
        return [signed] if signed.version == 1 else [self.root(), signed]

    def name(self, keyid: str) -> str:
        """What the key is called here, else the beginning of its id."""
        return self.keys.name(keyid) or keyid[:16]

    def _stand(self, role: str, metadata: Metadata[Any]) -> None:
        """Write the next version; keys that nothing names any more are retired last."""
        before = self._named() if metadata.signed.version > 1 else set()
        drafts.write(self.path(role, metadata.signed.version), metadata.to_bytes())
        self.proposals.drop(role)
        for name in filter(None, map(self.keys.name, before - self._named() if before else ())):
            self.keys.retire(name)

    def _named(self) -> set[str]:
        """Ids of all keys that count."""
        delegations = self.targets(TARGETS).delegations
        return {*self.root().keys, *(delegations.keys if delegations else ())}

    def _delegator(self, role: str) -> Root | Targets:
        return self.targets(TARGETS) if role in DELEGATED else self.root()
