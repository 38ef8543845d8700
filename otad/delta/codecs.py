"""Compressors and decompressors that a patch may name: what PACK makes again, and what UNPACK takes apart.

Rules:
 1. A name says all that the output depends on, but for who compresses; that is what a proof is for: the hash of what a known
    input becomes. Who cannot repeat the proof does not have that compressor, whatever its version is called.
 2. Names are looked up here. No patch makes a device run anything else.
 3. Both ways stream, in the memory that is told here, and no more is decompressed than was asked for.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol, cast

import zstandard

from otad.delta.faults import Unpackable
from otad.delta.packer import Program

try:
    import lzma
except ImportError:  # a Python that was built without it, as small systems have it
    lzma = None  # type: ignore[assignment]

_DAMAGED = (zlib.error, zstandard.ZstdError, *([lzma.LZMAError] if lzma else []))

MIB = 1 << 20
PIECE = 1 << 17
WINDOW = 1 << 23
PROOF = 16  # hex digits
UNPACK = {"gzip": MIB, "xz": 10 * MIB, "zstd": 10 * MIB}
"""Decompressors, and the memory that each may take: enough for a window of 8 MiB (`xz -6`, `zstd -19`)."""

_GZIP = re.compile(r"gzip -n -([1-9])")
_XZ = re.compile(r"xz --check=(none|crc32|crc64|sha256) --lzma2=preset=([0-9])(e?),dict=([1-9][0-9]{0,5})KiB")
_ZSTD = re.compile(r"(lib)?zstd (--single-thread|-T1) -(1?[1-9]|10)")


class Packed(Protocol):
    """Where compressed bytes come from."""

    def read(self, count: int, /) -> bytes:
        """Up to `count` bytes; none at the end."""


class Packer(Protocol):
    """One compression at work. Raises Unpackable."""

    def write(self, piece: bytes | memoryview) -> bytes:
        """Take `piece`, which one operation made; what is ready."""

    def finish(self) -> Iterator[bytes]:
        """The rest, piece by piece."""

    def close(self) -> None:
        """Nothing of it is left. At any time, also twice."""


@dataclass(frozen=True)
class Compressor:
    """memory: bytes that compressing so much content takes; begin: do it. Raises Unpackable when it is not here."""

    memory: Callable[[int], int]
    begin: Callable[[int], Packer]


def compressor(name: str) -> Compressor:
    """The one that a patch calls `name`, with or without a proof. Raises Unpackable for a name that is not known."""
    name = name.partition("#")[0]
    if found := _GZIP.fullmatch(name):
        return Compressor(lambda _: 2 * MIB, lambda length: Program(name.split(), length))
    if found := _XZ.fullmatch(name):
        return _xz(*found.groups())
    if found := _ZSTD.fullmatch(name):
        return _zstd(int(found[3]), threads=int(found[2] == "-T1"), program=not found[1])
    raise Unpackable(f"this otad knows no compressor {name!r}")


def with_proof(name: str) -> str:
    """`name` as a patch has it. Raises Unpackable when this machine does not have it."""
    made, known = hashlib.sha256(), known_input()
    packer = compressor(name).begin(len(known))
    try:
        for at in range(0, len(known), PIECE):
            made.update(packer.write(known[at : at + PIECE]))
        for rest in packer.finish():
            made.update(rest)
    finally:
        packer.close()
    return f"{name}#{made.hexdigest()[:PROOF]}"


def missing(need: str) -> str | None:
    """Why this machine cannot do what a patch needs, by a name of its `pack` or `unpack`; None when it can."""
    if need in UNPACK:
        return "this Python cannot decompress xz" if need == "xz" and lzma is None else None
    try:
        if with_proof(need.partition("#")[0]) == need:
            return None
    except Unpackable as error:
        return str(error)
    return f"{need.partition('#')[0]!r} makes other bytes here than where the patch was made"


def known_input() -> bytes:
    """What proofs are made of: 256 KiB with matches near and far, text and noise. See docs/delta-format.md."""
    noise = [hashlib.sha256(i.to_bytes(4, "little")).digest() for i in range(256 + 4096)]
    values = (int.from_bytes(one[:4], "little") for one in noise[256:])
    return b"".join(noise[value % 256] + b"%08x%-24d" % (value, i) for i, value in enumerate(values))


def unpack(name: str, packed: Packed, length: int) -> Iterator[bytes]:
    """The first `length` bytes that `packed` decompresses to, in pieces; what follows its first member is passed over.

    Raises Unpackable when there are not so many.
    """
    open_ = {"gzip": _gunzip, "xz": _unxz, "zstd": _unzstd}.get(name)
    if open_ is None or missing(name):
        raise Unpackable(f"this otad cannot decompress {name!r}")
    left = length
    try:
        for piece in open_(packed):
            yield piece[:left]
            left -= min(left, len(piece))
            if not left:
                return
    except _DAMAGED as error:
        raise Unpackable(f"{name} cannot decompress this: {error}") from error
    raise Unpackable(f"{name} makes {length - left} bytes of this, and {length} are promised")


def _gunzip(packed: Packed) -> Iterator[bytes]:
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    while not stream.eof:
        data = stream.unconsumed_tail or packed.read(PIECE)
        piece = stream.decompress(data, PIECE)
        if not data and not piece:
            return
        yield piece


def _unxz(packed: Packed) -> Iterator[bytes]:
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACK["xz"])
    while not stream.eof:
        data = packed.read(PIECE) if stream.needs_input else b""
        piece = stream.decompress(data, PIECE)
        if not data and not piece:
            return
        yield piece


def _unzstd(packed: Packed) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    with decompressor.stream_reader(cast("IO[bytes]", packed), read_size=PIECE, closefd=False) as stream:
        while piece := stream.read(PIECE):
            yield piece


class _Library:
    """A compressor of a library."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def write(self, piece: bytes | memoryview) -> bytes:
        """See Packer."""
        return self._stream.compress(piece)

    def finish(self) -> Iterator[bytes]:
        """See Packer."""
        yield self._stream.flush()

    def close(self) -> None:
        """See Packer. What it holds goes with this object."""


class _Stream(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _xz(check: str, preset: str, extreme: str, kib: str) -> Compressor:
    """Of the library. Memory as xz(1) tells it for its match finder bt4: 11.5 times the dictionary, and some."""
    if lzma is None:
        raise Unpackable("this Python cannot compress xz")
    level = int(preset) | (lzma.PRESET_EXTREME if extreme else 0)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": int(kib) << 10}]
    checks = {"none": lzma.CHECK_NONE, "crc32": lzma.CHECK_CRC32, "crc64": lzma.CHECK_CRC64, "sha256": lzma.CHECK_SHA256}
    memory = 12 * (int(kib) << 10) + 4 * MIB

    def begin(_: int) -> Packer:
        try:
            return _Library(lzma.LZMACompressor(check=checks[check], filters=filters))
        except (lzma.LZMAError, MemoryError) as error:
            raise Unpackable(f"xz cannot compress with a dictionary of {kib} KiB: {error}") from error

    return Compressor(lambda _: memory, begin)


def _zstd(level: int, *, threads: int, program: bool) -> Compressor:
    """With a thread of its own it works in jobs of four windows, at least 1 MiB; the program takes 5 MiB itself.

    Of these jobs four come, as many wait to be taken, and what is taken at last is taken at once. Source:
    lib/compress/zstdmt_compress.c, ZSTDMT_computeTargetJobLog and ZSTDMT_initCStream_internal; how much waits was measured.
    """

    def memory(length: int) -> int:
        parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=length)
        window = 1 << parameters.window_log
        job = max(4 * window, MIB)
        jobs = threads * (16 * job if length > job else 3 * length)
        return parameters.estimated_compression_context_size() + window + jobs + (6 if program else 1) * MIB

    def begin(length: int) -> Packer:
        if program:
            way = "-T1" if threads else "--single-thread"
            return Program(("zstd", "-q", "-c", way, f"-{level}", f"--stream-size={length}"), length)
        made = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True, write_content_size=True)
        return _Library(made.compressobj(size=length))

    return Compressor(memory, begin)
