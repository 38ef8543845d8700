"""A SWUpdate bundle (`.swu`): a cpio archive of sw-description, its CMS signature, then the images.

Rules:
 1. `pack` and `head` are the container, `describe` and `Description` the sw-description; neither knows the other's bytes.
 2. The image lies in the bundle raw: a release is compressed by its encodings, where every device can pick its own.
 3. Every device is written as `target`; whoever runs SWUpdate decides what that is (see `otad/payload/swupdate.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import BinaryIO

from otad.formats.swu import cpio
from otad.formats.swu.description import TARGET, Description, Image, describe, parse

__all__ = ["TARGET", "Description", "Image", "describe", "head", "pack", "parse"]

DESCRIPTION = "sw-description"
SIGNATURE = "sw-description.sig"
LARGEST_HEAD = 1 << 20  # bytes of sw-description or of its signature; a real one has 1 to 10 kB


def pack(description: str, signature: bytes, images: Sequence[tuple[str, BinaryIO, int]], out: BinaryIO) -> None:
    """Write the bundle to `out`, streaming. `signature` is CMS (DER, detached) over `description` as UTF-8.

    `images` are (file name as in the description, its data, its length in bytes). Raises Rejected when an image is shorter than
    its length or larger than 4 GiB.
    """
    text = description.encode()
    first = [(DESCRIPTION, BytesIO(text), len(text)), (SIGNATURE, BytesIO(signature), len(signature))]
    cpio.write([*first, *images], out)


def head(pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    """sw-description and its signature, from the beginning of a bundle. Raises Rejected("bundle-malformed")."""
    description, signature = cpio.read_head(pieces, (DESCRIPTION, SIGNATURE), LARGEST_HEAD)
    return description, signature
