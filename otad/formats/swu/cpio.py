"""cpio "newc" (SVR4 without checksum), the container of a `.swu`. Pure: bytes through file objects and iterators.

Rules:
 1. newc, not crc: SWUpdate takes both (since 2020.11), the SHA-256 in sw-description already covers every image, and newc needs
    one pass over an image where crc needs two, here and on the device.
 2. An archive depends on names and bytes only (no time, owner or inode of the builder): the same input packs to the same file.
 3. Nothing is held in memory but one piece; the head of an archive is bounded before it is read.

The header is 6 + 13 * 8 characters, all numbers 8 hex digits; name and data are padded to 4 bytes: cpio(5), and SWUpdate's
`core/cpio_utils.c`. SWUpdate allows padding to 512 bytes at the end, as GNU cpio writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from otad.errors import Rejected, Who

MAGIC = (b"070701", b"070702")
HEADER = 110
TRAILER = "TRAILER!!!"
LARGEST = 2**32 - 1  # bytes; the size field has 8 hex digits
PIECE = 1 << 20
BLOCK = 512


def header(name: str, length: int, number: int) -> bytes:
    """Header, name and padding of entry `number` (its inode), which holds `length` bytes. Raises Rejected above 4 GiB."""
    if length > LARGEST:
        raise Rejected(
            "bundle-too-large",
            f"{name} has {length} bytes, and an entry of a bundle holds at most {LARGEST}",
            "Make the image smaller than 4 GiB",
            who=Who.INTEGRATOR,
        )
    mode = 0 if name == TRAILER else 0o100644
    encoded = name.encode() + b"\0"
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    numbers = (number, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, len(encoded), 0)
    head = MAGIC[0] + b"".join(b"%08X" % value for value in numbers) + encoded
    return head + _pad(len(head))


def write(entries: Iterable[tuple[str, BinaryIO, int]], out: BinaryIO) -> None:
    """Write an archive of (name, data, bytes) to `out`. Raises Rejected when data is shorter than it was said to be."""
    written = 0
    for number, (name, data, length) in enumerate(entries, start=1):
        written += out.write(header(name, length, number))
        left = length
        while left:
            piece = data.read(min(PIECE, left))
            if not piece:
                raise Rejected(
                    "bundle-image-short",
                    f"{name} ended {left} bytes before the {length} that were promised",
                    "Pack it again from a file that nothing else writes",
                    who=Who.INTEGRATOR,
                )
            out.write(piece)
            left -= len(piece)
        written += length + out.write(_pad(length))
    written += out.write(header(TRAILER, 0, 0))
    out.write(b"\0" * (-written % BLOCK))


class Stream:
    """Takes exact counts of bytes from pieces of any size, and no piece more than it needs. `taken`: how many so far."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self.taken = 0

    def take(self, count: int, name: str) -> bytes:
        """The next `count` bytes. Raises Rejected when the archive ends before; `name` is what they belong to."""
        while len(self._held) < count:
            piece = next(self._pieces, None)
            if piece is None:
                raise _not_a_bundle(f"it ends within {name}")
            self._held += piece
        taken, self._held = self._held[:count], self._held[count:]
        self.taken += count
        return taken


def read_header(stream: Stream, expected: str = "an entry") -> tuple[str, int]:
    """Name and bytes of the next entry. Raises Rejected when there is no header; `expected` names it in the message."""
    head = stream.take(HEADER, expected)
    try:
        length, namesize = int(head[54:62], 16), int(head[94:102], 16)
    except ValueError:
        length = namesize = 0
    if head[:6] not in MAGIC or not 0 < namesize <= BLOCK:
        raise _not_a_bundle(f"no cpio header where {expected} should begin")
    name = stream.take(namesize + len(_pad(HEADER + namesize)), expected)[: namesize - 1]
    return name.decode("utf-8", "replace"), length


def read(stream: Stream, name: str, most: int) -> bytes:
    """The data of the next entry, which must be `name` and have at most `most` bytes. Raises Rejected when it is otherwise."""
    found, length = read_header(stream, name)
    if found != name:
        raise _not_a_bundle(f"it holds {found!r} where {name} must be")
    if length > most:
        raise _not_a_bundle(f"its {name} has {length} bytes; {most} are allowed")
    return stream.take(length + len(_pad(length)), name)[:length]


def _pad(length: int) -> bytes:
    return b"\0" * (-length % 4)


def _not_a_bundle(why: str) -> Rejected:
    return Rejected(
        "bundle-malformed", f"this is not an SWUpdate bundle: {why}", "Build it with `otarepo image`", who=Who.INTEGRATOR
    )
