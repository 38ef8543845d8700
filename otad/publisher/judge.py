"""One file of metadata, judged as a device judges it: what it says if it may be believed, and what is wrong with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root, Targets
from tuf.api.serialization import DeserializationError

from otad.publisher.roles import DELEGATED, ROOT, TARGETS


@dataclass(frozen=True)
class Judged:
    """`signed` is None when it may not be believed. `signatures`: "2 of 2", as the last judge counts."""

    signed: Any
    problems: tuple[str, ...]
    signatures: str = ""


def judge(role: str, data: bytes, by: Root | Targets, meta: MetaFile | None = None) -> Judged:
    """Judge the metadata of `role`: is it what `meta` names, and signed as `by` asks for? A root also as it asks itself."""
    try:
        if meta:
            meta.verify_length_and_hashes(data)
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except LengthOrHashMismatchError as error:
        return Judged(None, (f"is not what the metadata above it names: {error}",))
    except DeserializationError as error:
        return Judged(None, (f"is not metadata: {error}",))
    if metadata.signed.type != (TARGETS if role in DELEGATED else role):
        return Judged(None, (f"is metadata of another role: {metadata.signed.type}",))
    problems = []
    for delegator in (by, metadata.signed) if role == ROOT else (by,):
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        count = f"{len(result.signed)} of {result.threshold}"
        if not result:
            problems.append(f"has {count} signatures that version {delegator.version} of {delegator.type} asks for")
    if meta and metadata.signed.version != meta.version:
        problems.append(f"is version {metadata.signed.version}, and has to be version {meta.version}")
    return Judged(None if problems else metadata.signed, tuple(problems), count)
