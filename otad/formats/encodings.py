"""Encodings: how the payloads of one release travel. May grow after the release when a delta is added."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from otad.formats import Document, Model, Sha256


class Encoding(Model):
    """One way to get a payload's bytes.

    blob, length  SHA-256 and bytes of the file that travels, at `blobs/<blob>`
    base          SHA-256 of the payload that must be at hand (delta only)
    memory        bytes of memory that the decoder needs
    needs         names of tools or features without which it cannot be decoded
    """

    type: str
    blob: Sha256
    length: int = Field(ge=1)
    base: Sha256 | None = None
    memory: int = Field(default=0, ge=0)
    needs: tuple[str, ...] = ()


class Encodings(Document):
    """`targets/encodings/<product>/<version>.json`.

    release  SHA-256 of the release document
    of       SHA-256 of a payload -> its encodings, the cheapest first
    """

    schema_: Literal[1] = 1
    release: Sha256
    of: dict[Sha256, tuple[Encoding, ...]]
