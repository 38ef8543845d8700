"""A SWUpdate bundle (`.swu`): a cpio archive of sw-description, its CMS signature, then the images.

Rules:
 1. `pack` and `head` are the container, `describe` and `Description` the sw-description; neither knows the other's bytes.
 2. The image lies in the bundle raw: a release is compressed by its encodings, where every device can pick its own.
 3. Every device is written as `target`; whoever runs SWUpdate decides what that is (see `otad/payload/swupdate.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from otad.formats.swu import cpio
from otad.formats.swu.description import SET, TARGET, Description, Image, describe, parse

__all__ = ["SET", "TARGET", "Description", "Head", "Image", "alone", "describe", "head", "pack", "parse"]

DESCRIPTION = "sw-description"
SIGNATURE = "sw-description.sig"
LARGEST_HEAD = 1 << 20  # bytes of sw-description or of its signature; a real one has 1 to 10 kB


@dataclass(frozen=True)
class Head:
    """What stands first in a bundle: sw-description, its signature, and name, bytes and place of the entry that follows."""

    description: bytes
    signature: bytes
    entry: str
    length: int
    start: int


def pack(description: str, signature: bytes, images: Sequence[tuple[str, BinaryIO, int]], out: BinaryIO) -> None:
    """Write the bundle to `out`, streaming. `signature` is CMS (DER, detached) over `description` as UTF-8.

    `images` are (file name as in the description, its data, its length in bytes). Raises Rejected when an image is shorter than
    its length or larger than 4 GiB.
    """
    text = description.encode()
    cpio.write([_entry(DESCRIPTION, text), _entry(SIGNATURE, signature), *images], out)


def alone(head: Head) -> bytes:
    """An archive of sw-description and signature alone, as they came: enough for SWUpdate to judge them."""
    out = BytesIO()
    cpio.write([_entry(DESCRIPTION, head.description), _entry(SIGNATURE, head.signature)], out)
    return out.getvalue()


def head(pieces: Iterable[bytes]) -> Head:
    """What stands first in a bundle, taking no more of `pieces` than that. Raises Rejected("bundle-malformed")."""
    stream = cpio.Stream(pieces)
    description = cpio.read(stream, DESCRIPTION, LARGEST_HEAD)
    signature = cpio.read(stream, SIGNATURE, LARGEST_HEAD)
    entry, length = cpio.read_header(stream)
    return Head(description, signature, entry, length, stream.taken)


def _entry(name: str, data: bytes) -> tuple[str, BinaryIO, int]:
    return name, BytesIO(data), len(data)
