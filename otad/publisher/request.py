"""A request for signatures: one file, with all that a signer needs to see whether it is right.

Rules:
 1. It holds what is to be signed, what that changes, and whose signatures count. Nobody has to sign what cannot be seen.
 2. It is no more trusted than who brought it: what counts in the end is the workspace's own judgement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError

from otad.errors import Rejected, Who
from otad.formats import Document
from otad.publisher.proposal import Judge, lacks
from otad.publisher.roles import ROOT


class Request(Document):
    """What travels to those who sign.

    role      whose metadata it is
    metadata  what is to be signed, with the signatures that it has
    before    the version that it replaces
    judges    metadata that says whose signatures count; a root says so itself too
    names     key id -> what the key is called where the request was made
    """

    schema_: Literal[1] = 1
    role: str
    metadata: dict[str, Any]
    before: dict[str, Any]
    judges: tuple[dict[str, Any], ...]
    names: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> Request:
        """The request in `file`. Raises Rejected("request-invalid")."""
        try:
            return cls.decode(file.read_bytes(), str(file))
        except Rejected as error:
            what = f"{file} is no request for signatures"
            raise Rejected("request-invalid", what, "Give a file of `otarepo sign export`", who=Who.INTEGRATOR) from error

    def opened(self) -> tuple[Metadata[Any], list[Judge]]:
        """The metadata, and who decides about it. Raises Rejected("request-invalid")."""
        try:  # tuf takes apart what it is given
            metadata: Metadata[Any] = Metadata.from_dict(deepcopy(self.metadata))
            judges: list[Judge] = [Metadata[Any].from_dict(deepcopy(judge)).signed for judge in self.judges]
        except (DeserializationError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"this is no request for signatures: {error}"
            raise Rejected("request-invalid", what, "Export it again: otarepo sign export", who=Who.INTEGRATOR) from error
        return metadata, [*judges, metadata.signed] if self.role == ROOT else judges

    @property
    def version(self) -> int:
        """Of the metadata."""
        return int(self.opened()[0].signed.version)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is signed: the same on every machine, to be read out over the telephone."""
        return hashlib.sha256(self.opened()[0].signed_bytes).hexdigest()

    def name(self, keyid: str) -> str:
        """What the key is called."""
        return self.names.get(keyid, keyid[:16])

    def lacks(self) -> str:
        """What is missing, in words; empty when nothing is."""
        metadata, judges = self.opened()
        return lacks(judges, self.role, metadata, self.name)

    def changes(self) -> Iterator[str]:
        """What signing it would change, a line each."""
        for line in _changes(self.before["signed"], self.metadata["signed"]):
            for keyid, name in self.names.items():
                line = line.replace(keyid, name)  # noqa: PLW2901  key ids are for programs
            yield line


def _changes(before: Any, after: Any, at: str = "") -> Iterator[str]:
    before, after = _by_name(before), _by_name(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            where = f"{at} {name}".strip()
            if name not in after:
                yield f"- {where}"
            elif name not in before:
                yield f"+ {where}" + (f": {after[name]}" if after[name] is not None else "")
            else:
                yield from _changes(before[name], after[name], where)
    elif before != after:
        yield f"{at}: {before} -> {after}"


def _by_name(value: Any) -> Any:
    """A list as a table, by what its entries are called: then it is told which came and which went."""
    if isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value):
        return {one["name"]: one for one in value}
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return dict.fromkeys(value)
    return value
