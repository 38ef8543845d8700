"""Metadata that waits for signatures, and what it lacks.

Rules:
 1. `pending/<version>.<role>.json` of a workspace: whole metadata with the signatures that it has. One at most for a role, and
    for the version that comes next; what is left of an older one is no proposal any more.
 2. A signature is looked at again each time: nothing is believed because it was once written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from otad import durable
from otad.publisher import drafts

Judge = Root | Targets
Names = Callable[[str], str]
"""Key id -> what the key is called."""


class Proposals:
    """The proposals in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, role: str, version: int) -> Metadata[Any] | None:
        """The proposal for that version of `role`, if there is one."""
        file = self._path(role, version)
        return Metadata.from_bytes(file.read_bytes()) if file.exists() else None

    def write(self, role: str, metadata: Metadata[Any]) -> None:
        """Keep the proposal, in place of the one that there was for `role`."""
        drafts.write(self._path(role, metadata.signed.version), metadata.to_bytes())

    def drop(self, role: str) -> bool:
        """Forget every proposal for `role`; whether there was one."""
        files = list(self.folder.glob(f"*.{role}.json"))
        for file in files:
            durable.remove(file)
        return bool(files)

    def _path(self, role: str, version: int) -> Path:
        return self.folder / f"{version}.{role}.json"


def accepts(judges: Sequence[Judge], role: str, metadata: Metadata[Any]) -> bool:
    """Whether every one of `judges` finds the signatures that it asks for."""
    return all(judge.get_verification_result(role, metadata.signed_bytes, metadata.signatures) for judge in judges)


def lacks(judges: Sequence[Judge], role: str, metadata: Metadata[Any], names: Names) -> str:
    """What is missing, in words: "needs 1 more signature of 2: keys root2, root3"; empty when nothing is."""
    missing = []
    for judge in judges:
        result = judge.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        if not result:
            count = result.threshold - len(result.signed)
            keys = sorted(names(keyid) for keyid in result.unsigned)
            signatures = "signature" if count == 1 else "signatures"
            missing.append(f"needs {count} more {signatures} of {result.threshold}: key{'s' * (len(keys) > 1)} {', '.join(keys)}")
    return "; and ".join(dict.fromkeys(missing))
