"""zstd: one Zstandard frame (RFC 8878), and nothing before or after it.

Rules:
 1. The window is at most 2^25 bytes; a frame that asks for more is refused, not obeyed.
 2. A block decodes to at most 128 KiB (RFC 8878, 3.1.1.2.4), so the frame is fed a few blocks at a time: a handful of bytes that
    stand for gigabytes of zeros cost no more memory than anything else.
 3. A frame that ends early, and bytes after its end, are errors in words.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import BinaryIO

import zstandard

from otad.encoding import Decoder, Source
from otad.encoding.blob import Alone, reading
from otad.errors import Corrupt, Who

WINDOW = 2**25
_BLOCKS = 2  # decoded at once: pieces of at most 256 KiB
_BLOCK = 128 * 1024
_HEADER = 18  # bytes of the longest frame header
_CHECKSUM = 4
_RLE, _RESERVED = 1, 3  # types of a block
_READ = 256 * 1024


class Zstd(Alone):
    """Zstandard with a bounded window."""

    type = "zstd"

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        """See Decoder."""
        blob = source.blob
        decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj(write_size=_BLOCKS * _BLOCK)
        with reading(blob), blob.open("rb", buffering=_READ) as file:
            try:
                for part in _parts(file, blob.name):
                    if piece := decoder.decompress(part):
                        yield piece
            except zstandard.ZstdError as error:
                raise _damaged(blob.name, str(error)) from error
            if file.read(1):
                raise _damaged(blob.name, "bytes follow the end of its frame")


def _parts(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The frame in parts of `_BLOCKS` blocks, its header with the first, its checksum with the last."""
    head = file.read(_HEADER)
    frame = zstandard.get_frame_parameters(head)
    size = zstandard.frame_header_size(head)
    file.seek(size)
    part, blocks, last = [head[:size]], 0, False
    while not last:
        header = _exactly(file, 3, name)
        value = int.from_bytes(header, "little")
        last, kind, length = bool(value & 1), value >> 1 & 3, value >> 3
        if kind == _RESERVED or length > _BLOCK:
            raise _damaged(name, "it has a block that Zstandard does not define")
        part += (header, _exactly(file, 1 if kind == _RLE else length, name))
        blocks += 1
        if last and frame.has_checksum:
            part.append(_exactly(file, _CHECKSUM, name))
        if last or blocks == _BLOCKS:
            yield b"".join(part)
            part, blocks = [], 0


def _exactly(file: BinaryIO, count: int, name: str) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise _damaged(name, "it ends before its frame does")
    return found


def _damaged(name: str, why: str) -> Corrupt:
    return Corrupt(
        "blob-undecodable",
        f"the blob {name} cannot be decoded as zstd: {why}",
        "Compare it with what was published; publish it again if it is the same (one frame, window at most 2^25)",
        who=Who.INTEGRATOR,
        evidence={"blob": name, "zstd": why},
    )


DECODER: Decoder = Zstd()
