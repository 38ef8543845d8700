"""How a payload's bytes travel, and the one Protocol of every decoder: bytes of a blob -> the payload's bytes, as a stream.

Rules:
 1. A decoder never holds the payload: it streams, in memory that its encoding declares.
 2. What comes out is hashed while it flows; a `Source` that was read to its end has proved the payload's identity, or raised.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        """The decoded bytes in order, in pieces of at most 1 MiB. Raises Corrupt when the blob cannot be decoded."""


@dataclass(frozen=True)
class Source:
    """A payload at hand: the blob in the cache, how to decode it, and what must come out (SHA-256 hex and bytes)."""

    blob: Path
    decoder: Decoder
    sha256: str
    length: int
