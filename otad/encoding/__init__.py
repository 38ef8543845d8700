"""How a payload's bytes travel, and the one Protocol of every decoder: bytes of a blob -> the payload's bytes, as a stream.

Rules:
 1. A decoder never holds the payload: it streams, in memory that its encoding declares.
 2. Every byte of the payload is proved once. A decoder that must do it anyway, to find out where it went wrong, says so
    (`proves`); of any other, whoever reads the stream hashes it while it flows (`pump.py`, where it feeds a program).
 3. A new type of encoding is one new module here with a `DECODER`; its name in documents is that decoder's `type`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from otad.formats.encodings import Encoding


class Decoder(Protocol):
    """Decodes one type of encoding. Blocking: run it in a thread.

    proves  no byte comes out of `stream` that is not the payload's, and it ends without an error only after the last one
    """

    type: str
    proves: bool

    def refuses(self, encoding: Encoding, base: Base | None) -> str | None:
        """Why this device cannot decode it (a tool, its base), in words; None when it can. `base`: the encoding's, if at hand."""

    def check(self, source: Source) -> Iterator[int]:
        """Look, before anything is changed, whether it can be decoded. Yields now and then. Raises Corrupt when it cannot."""

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        """The decoded bytes in order, in pieces of at most 1 MiB. Raises Corrupt when the blob cannot be read or decoded."""


@dataclass(frozen=True)
class Base:
    """What a payload that came before left on this device, with random access: a slot, or a file.

    payload  SHA-256 of the decoded payload: its identity
    """

    payload: str
    path: Path


@dataclass(frozen=True)
class Source:
    """A payload in the cache: its blob, how to decode it, and what must come out (SHA-256 hex and bytes).

    base    what it is a difference to
    memory  bytes that decoding it may take; None: any
    reserve bytes of the cache's disk that must stay free of whatever decoding puts there
    """

    blob: Path
    decoder: Decoder
    sha256: str
    length: int
    base: Base | None = None
    memory: int | None = None
    reserve: int = 0

    def check(self) -> Iterator[int]:
        """See Decoder."""
        return self.decoder.check(self)

    def stream(self) -> Generator[bytes, None, None]:
        """See Decoder."""
        return self.decoder.stream(self)


@dataclass(frozen=True)
class Choice:
    """What this device can decode, cheapest first; and why not the rest, for the event log."""

    usable: tuple[Encoding, ...]
    refused: tuple[tuple[Encoding, str], ...]

    def reasons(self) -> str:
        """Why not the rest, in words; empty when there is none."""
        return "; ".join(f"{encoding.type} ({encoding.length} bytes): {why}" for encoding, why in self.refused)


@dataclass(frozen=True)
class Means:
    """What this device decodes with. `bases`: what is at hand, by payload; `memory`: bytes that it may take, None: any."""

    decoders: Mapping[str, Decoder]
    bases: Mapping[str, Base] = field(default_factory=dict)
    memory: int | None = None


def choose(encodings: Sequence[Encoding], means: Means, failed: Collection[str] = ()) -> Choice:
    """Sort out `encodings`: the fewest bytes first, of equals the one that needs less memory.

    `failed`: blobs that could not be decoded here.
    """
    usable: list[Encoding] = []
    refused: list[tuple[Encoding, str]] = []
    for encoding in sorted(encodings, key=lambda e: (e.length, e.memory)):
        why = "it failed here before" if encoding.blob in failed else _refuses(encoding, means)
        if why is None:
            usable.append(encoding)
        else:
            refused.append((encoding, why))
    return Choice(tuple(usable), tuple(refused))


def _refuses(encoding: Encoding, means: Means) -> str | None:
    decoder = means.decoders.get(encoding.type)
    if decoder is None:
        return f"this otad has no decoder for {encoding.type!r}, or is set not to use it"
    if means.memory is not None and encoding.memory > means.memory:
        return f"decoding takes {encoding.memory} bytes of memory, and {means.memory} may be used"
    return decoder.refuses(encoding, means.bases.get(encoding.base or ""))


def decoders() -> Mapping[str, Decoder]:
    """Every decoder of this folder by its type."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found: list[Decoder] = [module.DECODER for module in modules if hasattr(module, "DECODER")]
    return {decoder.type: decoder for decoder in found}
