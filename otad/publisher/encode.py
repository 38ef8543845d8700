"""Payload bytes -> blobs: how a payload travels.

Rules:
 1. A blob is complete before it is named by its SHA-256.
 2. The zstd window is at most 2^25 bytes: a device decodes it as a stream, in that much memory.
 3. A compression that saves less than a twentieth is not published: then the payload travels plain, and SWUpdate reads it itself.
 4. The same input and level give the same blob, however many processors compress it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from otad.formats.encodings import Encoding
from otad.publisher import drafts

PIECE = 1 << 20
WINDOW_LOG = 25
WORTH = 20  # part of the bytes that compression must save
DECODER = 1 << 20  # bytes beside the window: zstd's own buffers, and one piece in and one out

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, bytes done, bytes in all)."""


@dataclass(frozen=True)
class Coding:
    """How to encode: zstd's level, 1 to 22; whether the plain bytes are published too."""

    level: int = 19
    plain: bool = False


def quiet(_what: str, _done: int, _all: int) -> None:
    """The Progress of a program that shows none."""


def fingerprint(path: Path, progress: Progress = quiet) -> tuple[str, int]:
    """SHA-256 (hex) and length of a file."""
    digest = hashlib.sha256()
    for piece in _pieces(path, f"hashing {path.name}", progress):
        digest.update(piece)
    return digest.hexdigest(), path.stat().st_size


def encode(source: Path, sha256: str, blobs: Path, coding: Coding, progress: Progress = quiet) -> tuple[Encoding, ...]:
    """Write the blobs of `source`, whose SHA-256 is `sha256`, and describe them, the smallest first."""
    small = _zstd(source, blobs, coding.level, progress)
    if small and not coding.plain:
        return (small,)
    plain = Encoding(type="plain", blob=sha256, length=source.stat().st_size)
    drafts.copy(source, blobs / sha256)
    return (small, plain) if small else (plain,)


def _zstd(source: Path, blobs: Path, level: int, progress: Progress) -> Encoding | None:
    size = source.stat().st_size
    chunker = zstandard.ZstdCompressor(compression_params=_parameters(level, size)).chunker(size=size, chunk_size=PIECE)
    digest = hashlib.sha256()
    head = b""
    with drafts.draft(blobs) as new:
        for chunk in _compressed(chunker, _pieces(source, f"compressing {source.name}", progress)):
            head = head or chunk
            digest.update(chunk)
            new.file.write(chunk)
        length = new.file.tell()
        if length > size - size // WORTH:
            return None
        new.keep(blobs / digest.hexdigest())
    memory = zstandard.get_frame_parameters(head).window_size + DECODER
    return Encoding(type="zstd", blob=digest.hexdigest(), length=length, memory=memory)


def _compressed(chunker: zstandard.ZstdCompressionChunker, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from chunker.compress(piece)
    yield from chunker.finish()  # type: ignore[no-untyped-call]


def _parameters(level: int, size: int) -> zstandard.ZstdCompressionParameters:
    chosen = zstandard.ZstdCompressionParameters.from_level(level, source_size=size).window_log
    return zstandard.ZstdCompressionParameters.from_level(
        level, source_size=size, window_log=min(chosen, WINDOW_LOG), threads=-1, write_checksum=True
    )


def _pieces(path: Path, what: str, progress: Progress) -> Iterator[bytes]:
    size = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            done += len(piece)
            progress(what, done, size)
