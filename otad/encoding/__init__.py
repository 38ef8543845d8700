"""How a payload's bytes travel, and the one Protocol of every decoder: bytes of a blob -> the payload's bytes, as a stream.

Rules:
 1. A decoder never holds the payload: it streams, in memory that its encoding declares.
 2. A decoder proves nothing: whoever reads the stream hashes it while it flows (`pump.py`, where it feeds a program).
 3. A new type of encoding is one new module here with a `DECODER`; its name in documents is that decoder's `type`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from otad.formats.encodings import Encoding


class Decoder(Protocol):
    """Decodes one type of encoding. Blocking: run it in a thread."""

    type: str

    def refuses(self, encoding: Encoding) -> str | None:
        """Why this device cannot decode it (memory, tool, base missing), in words; None when it can."""

    def stream(self, blob: Path) -> Iterator[bytes]:
        """The decoded bytes in order, in pieces of at most 1 MiB. Raises Corrupt when the blob cannot be read or decoded."""


@dataclass(frozen=True)
class Source:
    """A payload at hand: the blob in the cache, how to decode it, and what must come out (SHA-256 hex and bytes)."""

    blob: Path
    decoder: Decoder
    sha256: str
    length: int


@dataclass(frozen=True)
class Choice:
    """What this device can decode, cheapest first; and why not the rest, for the event log."""

    usable: tuple[Encoding, ...]
    refused: tuple[tuple[Encoding, str], ...]


def choose(encodings: Sequence[Encoding], decoders: Mapping[str, Decoder], memory: int | None = None) -> Choice:
    """Sort out `encodings`: the fewest bytes first, of equals the one that needs less memory.

    `memory`: bytes that decoding may take on this device; None: any.
    """
    usable: list[Encoding] = []
    refused: list[tuple[Encoding, str]] = []
    for encoding in sorted(encodings, key=lambda e: (e.length, e.memory)):
        why = _refuses(encoding, decoders.get(encoding.type), memory)
        if why is None:
            usable.append(encoding)
        else:
            refused.append((encoding, why))
    return Choice(tuple(usable), tuple(refused))


def _refuses(encoding: Encoding, decoder: Decoder | None, memory: int | None) -> str | None:
    if decoder is None:
        return f"this otad has no decoder for {encoding.type!r}"
    if memory is not None and encoding.memory > memory:
        return f"decoding takes {encoding.memory} bytes of memory, and {memory} may be used"
    return decoder.refuses(encoding)


def decoders() -> Mapping[str, Decoder]:
    """Every decoder of this folder by its type."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found: list[Decoder] = [module.DECODER for module in modules if hasattr(module, "DECODER")]
    return {decoder.type: decoder for decoder in found}
