"""The workspace: one private folder that holds the keys and the repository as it will be published.

    otarepo.json   product and lifetimes        keys/       see keys.py
    metadata/      see roles.py                 targets/    documents, named as TUF's consistent snapshots name them
    blobs/         what devices fetch, by SHA-256       pending/     see proposal.py

Rules:
 1. `otarepo.json` is written last: a folder without it is not a workspace, one with it is complete.
 2. Documents and blobs are durable before the metadata that names them is signed; a kill between the two loses only space.
 3. One command at a time writes (`writing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from securesystemslib.signer import Key
from tuf.api.metadata import TargetFile, Targets

from otad.errors import Rejected, Who
from otad.formats import Document, Name
from otad.publisher import drafts
from otad.publisher.cms import BundleSigner
from otad.publisher.genesis import first_root, first_targets
from otad.publisher.keys import KeyFolder, KeyType, Passphrase, no_passphrase
from otad.publisher.lock import one_writer
from otad.publisher.notation import checked
from otad.publisher.roles import LIFETIMES, RELEASES, ROLES, ROLLOUTS, ROOT, TARGETS, Roles

SETTINGS = "otarepo.json"


class Settings(Document):
    """`otarepo.json`. `lifetimes`: role -> seconds that a signature is good for, where it differs from the default."""

    schema_: Literal[1] = 1
    product: Name
    lifetimes: dict[str, int] = Field(default_factory=dict)


@dataclass(frozen=True)
class Ceremony:
    """How a workspace's keys are made. Thresholds and numbers of keys are those of the offline top roles.

    `type` is of the TUF keys, `bundle_type` of SWUpdate's certificates: rsa (builds that can be repeated) or ec.
    """

    type: KeyType = KeyType.ED25519
    bundle_type: KeyType = KeyType.RSA
    threshold: int = 2
    root_keys: int = 3
    targets_keys: int = 3
    passphrase: bytes | None = None
    lifetimes: Mapping[str, timedelta] = field(default_factory=dict)


class Workspace:
    """An opened workspace. Make one with `create`, open one with `open`."""

    def __init__(self, path: Path, settings: Settings, keys: KeyFolder) -> None:
        lifetimes = {role: timedelta(seconds=seconds) for role, seconds in settings.lifetimes.items()}
        self.path = path
        self.product = settings.product
        self.keys = keys
        self.signer = BundleSigner(keys)
        self.roles = Roles(path / "metadata", keys, {**LIFETIMES, **lifetimes})
        self.blobs = path / "blobs"

    @classmethod
    def open(cls, path: Path, passphrase: Passphrase = no_passphrase) -> Workspace:
        """Open the workspace at `path`. Raises Rejected("workspace-missing")."""
        file = path / SETTINGS
        if not file.exists():
            what = f"{path} is no otarepo workspace"
            raise Rejected("workspace-missing", what, "Make one: otarepo init DIR --product NAME", who=Who.INTEGRATOR)
        return cls(path, Settings.decode(file.read_bytes(), str(file)), KeyFolder(path / "keys", passphrase))

    @classmethod
    def create(cls, path: Path, product: str, ceremony: Ceremony = Ceremony(), *, now: datetime) -> Workspace:
        """Make the keys and the first metadata at `path`, which must be empty or not exist."""
        _check(path, ceremony)
        lifetimes = {role: int(life.total_seconds()) for role, life in ceremony.lifetimes.items()}
        settings = checked(Settings, "product-name", product=product, lifetimes=lifetimes)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace = cls(path, settings, KeyFolder(path / "keys", lambda _: ceremony.passphrase or b""))
        workspace.signer.create(product, ceremony.bundle_type, ceremony.passphrase)
        keys = _make_keys(workspace.keys, ceremony)
        thresholds = {ROOT: ceremony.threshold, TARGETS: ceremony.threshold}
        workspace.roles.save(ROOT, first_root(keys, thresholds, now), now=now)
        workspace.roles.save(TARGETS, first_targets(keys, now), now=now)
        for role in (RELEASES, ROLLOUTS):
            workspace.roles.save(role, Targets(expires=now), now=now)
        drafts.write(path / SETTINGS, settings.encode())
        return workspace

    @property
    def anchor(self) -> Path:
        """The newest root: what an image carries as /etc/otad/root.json."""
        return self.roles.path(ROOT, self.roles.version(ROOT))

    def writing(self, task: str) -> AbstractContextManager[None]:
        """Hold the workspace for `task`. Raises RetryLater("locked") when another process has it."""
        return one_writer(self.path, task)

    def store(self, path: str, document: Document) -> TargetFile:
        """Put `document` among the targets and return what its role must list. `path` is its TUF target path."""
        target = TargetFile.from_data(path, document.encode())
        drafts.write(self.document(target), document.encode())
        return target

    def document(self, target: TargetFile) -> Path:
        """The file of a target, named by its hash."""
        return self.path / "targets" / target.get_prefixed_paths()[0]

    def read(self, target: TargetFile) -> bytes:
        """The bytes of a target, which must be those that were signed. Raises Rejected("document-changed")."""
        file = self.document(target)
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != target.hashes["sha256"]:
            raise Rejected("document-changed", f"{file} is not what was signed", "Restore it from what was published")
        return data


def _check(path: Path, ceremony: Ceremony) -> None:
    if path.exists() and any(path.iterdir()):
        raise Rejected("workspace-exists", f"{path} is not empty", "Choose a new folder", who=Who.INTEGRATOR)
    fewest = min(ceremony.root_keys, ceremony.targets_keys)
    if not 1 <= ceremony.threshold <= fewest:
        raise Rejected(
            "threshold-impossible",
            f"{ceremony.threshold} signatures cannot come from {fewest} keys",
            "Use at least as many keys as the threshold",
            who=Who.INTEGRATOR,
        )
    unknown = set(ceremony.lifetimes) - set(ROLES)
    if unknown:
        what = f"there is no role {min(unknown)}"
        raise Rejected("role-unknown", what, f"The roles are {', '.join(ROLES)}", who=Who.INTEGRATOR)


def _make_keys(folder: KeyFolder, ceremony: Ceremony) -> dict[str, list[Key]]:
    counts = {ROOT: ceremony.root_keys, TARGETS: ceremony.targets_keys}
    names = {role: [f"{role}{n + 1}" for n in range(counts[role])] if role in counts else [role] for role in ROLES}
    return {role: [folder.make(name, ceremony.type, ceremony.passphrase) for name in names[role]] for role in ROLES}
