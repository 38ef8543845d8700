"""From one trusted root to the roles that say what may run: which metadata is accepted, one role after the other.

Rules:
 1. The order is root*, timestamp, snapshot, targets, what targets delegates; each is verified by the ones before it.
 2. The work is done by python-tuf's TrustedMetadataSet (TUF client workflow, 5.3 to 5.6). It is internal to tuf, so the version
    is pinned and nothing outside this file touches it. It reads the clock once, in its constructor: here the reference time is
    set anew before each step, because an accepted timestamp moves the floor and targets moves the clamp (see `clock`).
 3. A stored copy that is older than what is named now, or expired, still counts against rollback; it is never used as it is.
 4. A role is verified by the keys of the one that delegates it (`by`), each time that it is reached by another one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

from tuf.api.exceptions import (
    BadVersionNumberError,
    EqualVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Targets
from tuf.api.serialization import DeserializationError, SerializationError
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from otad.errors import OtadError
from otad.trust import refusals
from otad.trust.clock import Reading, parse_issued

_ONLINE = ("timestamp", "snapshot", "rollouts")

Tell = Callable[[datetime | None, datetime], Reading]
"""`Clock.read`: (latest accepted x-issued, earlier expiry of root and targets) -> what time it is."""


class Stored(Enum):
    """What a stored copy is still good for."""

    CURRENT = "is the one that is named now"
    OLD = "only counts against rollback"
    DAMAGED = "does not verify, being damaged or signed by keys of before"


class Verifier:
    """The roles accepted so far. `floor`: the latest `x-issued` accepted before, under the same online keys."""

    def __init__(self, root: bytes, tell: Tell) -> None:
        """Trust `root` for itself. Raises tuf's RepositoryError when it is not a root signed by its own keys."""
        self._set = TrustedMetadataSet(root, EnvelopeType.METADATA)
        self._tell = tell
        self.root_bytes = root
        self.floor: datetime | None = None

    @property
    def root(self) -> Root:
        """The root that everything else is verified by."""
        return self._set.root

    @property
    def online_keys(self) -> tuple[str, ...]:
        """Ids of the keys that root gives to timestamp and snapshot, sorted."""
        # python-tuf takes whatever JSON has for an id; one that is no text is nobody's key, and must not end the refresh
        return tuple(sorted({str(key) for name in ("timestamp", "snapshot") for key in self.root.roles[name].keyids}))

    @property
    def issued(self) -> datetime | None:
        """When the accepted timestamp was signed, on its own word; None when it does not say."""
        return parse_issued(self._set.timestamp.unrecognized_fields.get("x-issued"), "timestamp.json")

    @property
    def latest_issued(self) -> datetime | None:
        """The latest `x-issued` accepted: what the floor stands on."""
        known = (self.floor, self.issued if "timestamp" in self._set else None)
        return max((time for time in known if time), default=None)

    @property
    def ends(self) -> datetime:
        """The earlier expiry of root and, once accepted, targets."""
        ends: list[datetime] = [signed.expires for name in ("root", "targets") if (signed := self._set.get(name))]
        return min(ends)

    @property
    def reading(self) -> Reading:
        """What time it is by all that was accepted so far."""
        return self._tell(self.latest_issued, self.ends)

    def named(self, role: str) -> MetaFile | None:
        """What the metadata above `role` says of it: version, perhaps length; None for timestamp, which nothing names.

        Raises Rejected("role-missing") when it says nothing.
        """
        if role == "timestamp":
            return None
        if role == "snapshot":
            return self._set.timestamp.snapshot_meta
        meta = self._set.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise refusals.undelegated(role, "snapshot.json")
        return meta

    def targets(self, role: str) -> Targets:
        """The accepted metadata of `targets` or of a delegated role."""
        found = self._set[role]
        if not isinstance(found, Targets):
            raise TypeError(f"{role} has no targets")
        return found

    def accept_root(self, data: bytes, origin: str) -> None:
        """Accept the next root: signed by this one's keys and by its own. It may be expired if a newer one follows."""
        try:
            self._set.update_root(data)
        except RepositoryError as error:
            raise self._refusal("root", "root", data, origin, error) from error
        self.root_bytes = data

    def has(self, role: str, by: str) -> bool:
        """Whether `role` is accepted, by the keys that `by` gives it."""
        return self._set.contains(role, by)

    def accept(self, role: str, by: str, data: bytes, origin: str) -> bool:
        """Accept the metadata of a role that `by` delegates, from the network; False when it is the trusted timestamp once more.

        Raises a refusal that names `origin`, the attack, and the clock where time decides.
        """
        news = True
        try:
            self._update(role, by, data, stored=False)
        except EqualVersionNumberError:
            news = False
        except RepositoryError as error:
            raise self._refusal(role, by, data, origin, error) from error
        self._require_fresh(role, self._set[role], origin)
        return news

    def recall(self, role: str, by: str, data: bytes) -> Stored:
        """Take up a stored copy of what was accepted before."""
        try:
            self._update(role, by, data, stored=True)
        except (ExpiredMetadataError, BadVersionNumberError, LengthOrHashMismatchError):
            return Stored.OLD
        except RepositoryError:
            return Stored.DAMAGED
        return Stored.CURRENT

    def _update(self, role: str, by: str, data: bytes, *, stored: bool) -> None:
        self._set.reference_time = self.reading.now
        if role == "timestamp":
            self._set.update_timestamp(data)
        elif role == "snapshot":
            self._set.update_snapshot(data, trusted=stored)
        elif role == "targets":
            # the clamp includes these targets' own expiry: read before they are verified, harmless if they are not
            ends = min(self.root.expires, Metadata[Targets].from_bytes(data).signed.expires)
            self._set.reference_time = self._tell(self.latest_issued, ends).now
            self._set.update_targets(data)
        else:
            self._require_delegated(role, by)
            self._set.update_delegated_targets(data, role, by)

    def _require_delegated(self, role: str, by: str) -> None:
        try:
            self.targets(by).get_delegated_role(role)
        except ValueError as error:
            raise refusals.undelegated(role, f"{by}.json") from error

    def _require_fresh(self, role: str, signed: Signed, origin: str) -> None:
        reading = self.reading
        if signed.is_expired(reading.now):
            raise refusals.expired(origin, signed.expires, reading, online=role in _ONLINE)

    def _refusal(self, role: str, by: str, data: bytes, origin: str, error: RepositoryError) -> OtadError:
        """What tuf's `error` means. All but the first two were raised for metadata whose signatures are good."""
        if isinstance(error, (DeserializationError, SerializationError)):  # not read, or not to be made canonical and verified
            return refusals.not_metadata(origin, str(error.__cause__ or error))
        if isinstance(error, UnsignedMetadataError):
            return refusals.unsigned(origin, role, *self._signatures(role, by, data))
        if isinstance(error, ExpiredMetadataError):
            return self._expired(role, data, origin)
        if isinstance(error, BadVersionNumberError):
            return self._bad_version(role, data, origin, error)
        if role == "snapshot" and "missing info" in str(error):
            return refusals.rollback(origin, str(error))
        return refusals.mixed(origin, str(error))

    def _expired(self, role: str, data: bytes, origin: str) -> OtadError:
        reading = self.reading
        if role == "timestamp" and self.root.is_expired(reading.now):
            return refusals.expired(f"root.json, version {self.root.version},", self.root.expires, reading, online=False)
        return refusals.expired(origin, Metadata.from_bytes(data).signed.expires, reading, online=role in _ONLINE)

    def _bad_version(self, role: str, data: bytes, origin: str, error: RepositoryError) -> OtadError:
        found = Metadata.from_bytes(data).signed.version
        if role == "timestamp" and found < self._set.timestamp.version:
            return refusals.stale(origin, found, self._set.timestamp.version)
        named = None if role == "root" else self.named(role)
        if named is not None and found != named.version:
            return refusals.mixed(origin, f"version {found} in place of {named.version}")
        return refusals.rollback(origin, str(error))

    def _signatures(self, role: str, by: str, data: bytes) -> tuple[int, int]:
        """Good signatures and how many are needed, by whichever delegator has too few."""
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        delegator = self.root if by == "root" else self.targets(by)
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        if result and isinstance(metadata.signed, Root):  # signed by the old root's keys, not by its own
            result = metadata.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        return len(result.signed), result.threshold
