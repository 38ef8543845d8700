"""Compressed files, taken apart: what they hold deltas well, what they are does not.

Rules:
 1. A blob counts only when it was made again here, byte for byte, by a compressor that a patch can name. What no compressor gives
    back stays as it is.
 2. Nothing is held whole: contents go to files, and a trial ends at the first byte that differs.
 3. A blob begins its file, or follows an uncompressed cpio archive in it (an initrd with microcode in front).
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zstandard

from otad.delta import codecs
from otad.delta.faults import Unpackable
from otad.formats.swu import cpio
from otad.publisher.delta.stretch import Stretch

PIECE = codecs.PIECE
SIP = 1 << 10  # bytes decompressed at once: 4 of them may stand for 128 KiB (zstd, a block of one byte)
HEAD = 18  # bytes of a Zstandard frame's header, at most (RFC 8878, 3.1.1.1)


class _Stream(Protocol):
    """A decompressor. The three libraries agree in this."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_MAGIC = {b"\x1f\x8b\x08": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = {b"BZh": "bzip2", b"\x04\x22\x4d\x18": "lz4", b"\x02\x21\x4c\x18": "lz4", b"\x5d\0\0": "lzma", b"PK\3\4": "zip"}
_LONGEST = max(map(len, _MAGIC))
_UNNAMED = {
    "gzip": "it tells a name or a time, which gzip -n leaves out",
    "xz": "it has other filters than LZMA2, or more than one thread made it",
    "zstd": "it does not tell its content's length, as nothing does that was piped through zstd, or has no checksum",
}
"""Why no compressor is tried."""


class NotAgain(Exception):  # not an error: the delta is made all the same
    """Nothing that a device has makes a blob again: why."""


def _streams(memory: int | None, window: int) -> Mapping[str, Callable[[], _Stream]]:
    return {
        "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory),
        "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=window).decompressobj(),
    }


ANY, DEVICE = _streams(None, 1 << 27), _streams(codecs.UNPACK["xz"], codecs.WINDOW)
"""Decompressors: of whatever there is, and of what a device opens, which has an old file to open too."""


@dataclass(frozen=True)
class Blob:
    """`stored` bytes from `at` of a file are what `kind` makes of `content`; `packer` makes the same of it."""

    kind: str
    at: int
    stored: int
    content: Stretch
    packer: str = ""


def kind_at(file: Stretch) -> tuple[str, int] | None:
    """Which compressor's format stands in `file`, and from where on."""
    at = _after_cpio(file)
    start = file[at : at + _LONGEST]
    return next(((kind, at) for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def opened(file: Stretch, into: Path, streams: Mapping[str, Callable[[], _Stream]] = ANY) -> Blob | None:
    """The blob of `file`, its content written to `into`; None when there is none that `streams` open, or it is damaged."""
    found = kind_at(file)
    if found is None:
        return None
    kind, at = found
    try:
        stored = _decompressed(streams[kind](), file.part(at, file.length - at), into)
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError):
        into.unlink(missing_ok=True)
        return None
    return Blob(kind, at, stored, Stretch.whole(into))


def foreign(file: Stretch) -> str | None:
    """By what a file is compressed that no device takes apart."""
    start = file[:_LONGEST]
    return next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None)


def packer(blob: Blob, file: Stretch, most: int) -> str:
    """The compressor, in at most `most` bytes of memory, that makes the blob of `file` from its content. Raises NotAgain."""
    stored, tried = file.part(blob.at, blob.stored), 0
    names = list(_candidates(blob.kind, stored))
    for name in names:
        try:
            if codecs.compressor(name).memory(blob.content.length) <= most:
                tried += 1
                if _gives(name, blob.content, stored):
                    return name
        except Unpackable:  # not installed here, or of no use
            continue
    if not names:
        raise NotAgain(_UNNAMED[blob.kind])
    if not tried:
        raise NotAgain(f"{blob.kind} would take more than {most >> 20} MiB of a device's memory to make it again")
    raise NotAgain(f"no {blob.kind} that a device could run makes it again")


def _after_cpio(file: Stretch) -> int:
    """Where a cpio archive at the beginning of `file` ends, with the zeros that follow it; 0 when there is none."""
    at = 0
    while (head := file[at : at + cpio.HEADER])[:6] in cpio.MAGIC and len(head) == cpio.HEADER:
        try:
            length, name = int(head[54:62], 16), int(head[94:102], 16)
        except ValueError:
            return 0
        at += -(-(cpio.HEADER + name) // 4) * 4 + -(-length // 4) * 4
    while at and at < file.length and not file[at : at + 4].strip(b"\0"):
        at += 4
    return at


def _decompressed(stream: _Stream, stored: Stretch, into: Path) -> int:
    """How many bytes the first compressed stream in `stored` has. Raises what the library does, EOFError where it is cut off."""
    with into.open("wb") as out, stored.reading() as reading:
        for start in range(0, stored.length, SIP):
            piece = reading[start : start + SIP]
            out.write(stream.decompress(piece))
            if stream.eof:
                return start + len(piece) - len(stream.unused_data)
    raise EOFError


def _gives(name: str, content: Stretch, stored: Stretch) -> bool:
    """Whether the compressor makes exactly `stored`."""
    making = codecs.compressor(name).begin(content.length)
    at = 0
    try:
        for piece in _compressed(making, content):
            if stored[at : at + len(piece)] != piece:
                return False
            at += len(piece)
    finally:
        making.close()
    return at == stored.length


def _compressed(making: codecs.Packer, content: Stretch) -> Iterator[bytes]:
    for start in range(0, content.length, PIECE):
        yield making.write(content[start : start + PIECE])
    yield from making.finish()


def _candidates(kind: str, stored: Stretch) -> Iterable[str]:
    """Compressors that may have made it, the likely ones first."""
    if kind == "gzip":
        return _gzip(stored)
    return _xz(stored) if kind == "xz" else _zstd(stored)


def _gzip(stored: Stretch) -> Iterable[str]:
    """The header tells of a name and a time, which -n leaves out, and whether the level was 1, or 9 (RFC 1952)."""
    head = stored[:10]
    if head[3:8] != bytes(5):
        return ()
    levels = {0: (6, 5, 7, 8, 4, 3, 2), 2: (9,), 4: (1,)}.get(head[8], ())
    return (f"gzip -n -{level}" for level in levels)


def _xz(stored: Stretch) -> Iterable[str]:
    """The header tells check and dictionary (the .xz file format, 2.1.1.2, 3.1.5 and 5.3.1)."""
    head = stored[:32]
    check = {0: "none", 1: "crc32", 4: "crc64", 10: "sha256"}.get(head[7] & 0xF)
    if check is None or head[13] & 0xC3 or head[14:16] != b"\x21\x01":  # one filter, LZMA2, and no sizes
        return ()
    bits = head[16] & 0x3F
    kib = (2 | bits & 1) << (bits // 2 + 11) >> 10
    presets = ("6", "9", "6e", "9e", *(f"{level}{extreme}" for level in (7, 8, 5, 4, 3, 2, 1, 0) for extreme in ("", "e")))
    return (f"xz --check={check} --lzma2=preset={preset},dict={kib}KiB" for preset in presets)


def _zstd(stored: Stretch) -> Iterable[str]:
    """The header tells nothing of the level. `zstd` by itself compresses with -T1 -3, an initrd with 9 or 19.

    Up to 512 KiB -T1 makes what --single-thread does, which takes less memory. What was piped through zstd does not tell its
    content's length, and libraries leave the checksum out where nobody asks for it: no name stands for that.
    """
    told = zstandard.get_frame_parameters(stored[:HEAD])
    if told.content_size == zstandard.CONTENTSIZE_UNKNOWN or not told.has_checksum:
        return ()
    levels = (3, 19, 9, 15, 10, 12, 6, 1, 2, 4, 5, 7, 8, 11, 13, 14, 16, 17, 18)
    makers = [f"{maker} {threads}" for maker in ("zstd", "libzstd") for threads in ("--single-thread", "-T1")]
    return (f"{maker} -{level}" for level in levels for maker in makers)
