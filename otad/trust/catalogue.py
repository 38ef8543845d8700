"""What the verified roles say: which releases there are for this product, and who may have them now.

Rules:
 1. `releases` answers for releases/ and encodings/, `rollouts` for rollouts/, nobody else and nothing else. A role that lists
    what it was not given is not believed at all.
 2. A release whose version or grant this otad cannot read is left out, and the log says why: it must not be taken, and must
    not stand in the way of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from otad.errors import Rejected, RetryLater, Who
from otad.formats import SemVer, Sha256
from otad.formats.campaign import Rollouts
from otad.formats.grant import Grant
from otad.trust import refusals
from otad.trust.clock import Reading

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile, Targets

GIVEN = {"releases": ("releases", "encodings"), "rollouts": ("rollouts",)}
"""Role -> first part of the paths that it may sign."""

DOCUMENT = 2**20  # bytes: the largest document that a device reads

_log = logging.getLogger(__name__)
_sha256: TypeAdapter[str] = TypeAdapter(Sha256)
_semver: TypeAdapter[str] = TypeAdapter(SemVer)


@dataclass(frozen=True)
class Target:
    """A signed file: its path below `targets/`, SHA-256 (hex) and bytes."""

    path: str
    sha256: str
    length: int

    @property
    def url(self) -> str:
        """Where it is in the repository: TUF's consistent snapshots put the hash before the name."""
        folder, _, name = self.path.rpartition("/")
        return quote(f"targets/{folder}/{self.sha256}.{name}", safe="/+")


@dataclass(frozen=True)
class Listed(Target):
    """A release that the releases role lists, with what its grant allows."""

    grant: Grant


@dataclass(frozen=True)
class Catalogue:
    """What was trusted at one time.

    as_of      when the trusted timestamp was signed
    reading    what time it was when this was read, and on whose word
    rollouts   of the device's channel
    releases   of the device's product, by version
    encodings  how they travel, by version
    """

    as_of: datetime
    reading: Reading
    rollouts: Rollouts
    releases: Mapping[str, Listed]
    encodings: Mapping[str, Target]

    @property
    def age(self) -> timedelta:
        """How old the roll-outs were when this was read."""
        return self.reading.age(self.as_of)


def check_paths(role: str, delegator: Targets, signed: Targets) -> None:
    """Rule 1, for what `delegator` delegates to `role`. Raises Rejected("arbitrary-target")."""
    given = delegator.delegations.roles[role] if delegator.delegations and delegator.delegations.roles else None
    for path in signed.targets:
        if given is None or path.split("/")[0] not in GIVEN[role] or not given.is_delegated_path(path):
            raise refusals.arbitrary_target(role, path)


def rollouts_target(rollouts: Targets, channel: str) -> Target:
    """The roll-outs of `channel`. Raises RetryLater("channel-unknown") naming those that there are."""
    path = f"rollouts/{channel}.json"
    if path in rollouts.targets:
        return _target(rollouts.targets[path])
    known = ", ".join(sorted(name.removeprefix("rollouts/").removesuffix(".json") for name in rollouts.targets))
    raise RetryLater(
        "channel-unknown",
        f"the repository has no roll-outs for the channel {channel!r} (it has: {known or 'none'})",
        "Set repository.channel to one of them, or start a roll-out in this channel (otarepo rollout start)",
        who=Who.FIELD,
    )


def releases_of(product: str, releases: Targets) -> dict[str, Listed]:
    """The releases of `product` that this otad can read, by version."""
    found: dict[str, Listed] = {}
    for version, file in _versions(f"releases/{product}/", releases):
        try:
            grant = Grant.model_validate(file.custom or {})
        except ValidationError as error:
            _log.warning("%s is left out: this otad cannot read its grant: %s", file.path, error)
            continue
        target = _target(file)
        found[version] = Listed(target.path, target.sha256, target.length, grant)
    return found


def encodings_of(product: str, releases: Targets) -> dict[str, Target]:
    """How the releases of `product` travel, by version."""
    return {version: _target(file) for version, file in _versions(f"encodings/{product}/", releases)}


def _versions(folder: str, releases: Targets) -> Iterator[tuple[str, TargetFile]]:
    for path, file in releases.targets.items():
        if not path.startswith(folder):
            continue
        try:
            yield _semver.validate_python(path.removeprefix(folder).removesuffix(".json")), file
        except ValidationError:
            _log.warning("%s is left out: its name is not a version", path)


def _target(file: TargetFile) -> Target:
    sha256: Any = file.hashes.get("sha256")
    try:
        _sha256.validate_python(sha256)
    except ValidationError as error:
        raise _unusable(file.path, f"its SHA-256 is {sha256!r}") from error
    if file.length > DOCUMENT:
        raise _unusable(file.path, f"its {file.length} bytes are more than the {DOCUMENT} that a document may have")
    return Target(file.path, sha256, file.length)


def _unusable(path: str, why: str) -> Rejected:
    return Rejected("target-unusable", f"{path} cannot be used: {why}", "Publish it again with otarepo", who=Who.INTEGRATOR)
