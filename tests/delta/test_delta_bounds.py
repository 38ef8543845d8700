"""What decompressors and an index may ask for: more is refused, before anything is taken for it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
import zstandard

from otad.delta.codecs import UNPACK, unpack
from otad.delta.faults import Malformed, Unpackable
from otad.delta.format import Header, Limits, New, Old
from otad.delta.index import Contents, pack_index, unpack_index
from otad.delta.ops import Delta, Extent, Unpack, decode, encode
from otad.delta.streams import Entry, Stream
from tests.delta.making import PAYLOAD

TEXT = b"a little text" * 100
LZMA = pytest.importorskip("lzma")


def xz(kib: int) -> bytes:
    """TEXT, for a decompressor with such a dictionary: it is told in the block's header, whatever the text needs."""
    return bytes(LZMA.compress(TEXT, filters=[{"id": LZMA.FILTER_LZMA2, "preset": 0, "dict_size": kib << 10}]))


def zstd(log: int) -> bytes:
    """TEXT, in a frame with a window of 2^log: a stream, of no known length."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=log)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    made = stream.compress(TEXT) + stream.flush()
    assert zstandard.get_frame_parameters(made).window_size == 1 << log
    return made


def unpacked(name: str, data: bytes) -> Iterator[bytes]:
    return unpack(name, io.BytesIO(data), len(TEXT))


def test_what_xz_takes() -> None:
    """`xz -6` has 8 MiB; 10 MiB are declared for it."""
    assert UNPACK == {"gzip": 1 << 20, "xz": 10 << 20, "zstd": 10 << 20}
    assert b"".join(unpacked("xz", xz(8 << 10))) == TEXT
    for kib in (10 << 10, 16 << 10, 1 << 20):
        with pytest.raises(Unpackable, match="xz cannot decompress this: Memory usage limit exceeded"):
            next(unpacked("xz", xz_that_says(kib)))


def xz_that_says(kib: int) -> bytes:
    """The same with another dictionary in its header: who makes one of a GiB takes ten."""
    made, bits = bytearray(xz(4)), 0
    while (2 | bits & 1) << (bits // 2 + 11) < kib << 10:  # section 5.3.1 of the .xz format
        bits += 1
    header = slice(12, 12 + 4 * (made[12] + 1))  # its length, flags, and the filter: id, length, dictionary; then a CRC
    assert made[14:16] == b"\x21\x01"
    made[16] = bits
    made[header.stop - 4 : header.stop] = zlib.crc32(made[header.start : header.stop - 4]).to_bytes(4, "little")
    return bytes(made)


@pytest.mark.parametrize("log", [10, 23])
def test_a_window_that_zstd_may_have(log: int) -> None:
    assert b"".join(unpacked("zstd", zstd(log))) == TEXT


@pytest.mark.parametrize("log", [24, 27, 30])
def test_a_window_of_more_than_8_mib_is_refused(log: int) -> None:
    with pytest.raises(Unpackable, match=r"zstd cannot decompress this: .*too much memory"):
        next(unpacked("zstd", zstd_that_says(log)))


def zstd_that_says(log: int) -> bytes:
    """The same with another window in its header: RFC 8878, 3.1.1.1.2."""
    made = bytearray(zstd(10))
    assert made[5] == 0
    made[5] = (log - 10) << 3
    assert zstandard.get_frame_parameters(bytes(made)).window_size == 1 << log
    return bytes(made)


# -- the index ----------------------------------------------------------------------------------------------------------------

SHORT = Entry(content=9, ops=1, controls=0, meta=Stream(9, 9), control=Stream(0, 0), diff=Stream(0, 0), extra=Stream(0, 0))
PLAIN = Contents((), (), (b"\x33" * 32,), (SHORT,))


def read(contents: Contents) -> Contents:
    """As a device reads it."""
    index = pack_index(contents)
    stored = zstandard.compress(index)
    limits = Limits(segment=9, frame=9, window=0, output=0, codecs=0, spool=0)
    header = Header(Old(PAYLOAD, 1 << 20, "22" * 32), New(9, "33" * 32), 1 << 20, limits, Stream(len(stored), len(index)))
    return unpack_index(header, stored)


def test_operations_of_a_segment() -> None:
    most = replace(PLAIN, segments=(SHORT._replace(ops=131_072),))
    assert read(most) == most
    with pytest.raises(Malformed, match="a segment has too many operations"):
        read(replace(PLAIN, segments=(SHORT, SHORT._replace(ops=131_073))))


def test_segments_of_a_patch() -> None:
    most = replace(PLAIN, segments=(SHORT,) * 4096)
    assert read(most) == most
    with pytest.raises(Malformed, match="a count of segments is 4097"):
        read(replace(PLAIN, segments=(SHORT,) * 4097))


def test_ranges_of_a_patch() -> None:
    ranges = tuple(Extent(2 * i, 1) for i in range(32_768))
    most = replace(PLAIN, ranges=ranges, old=(b"o" * 32,))
    assert read(most) == most
    with pytest.raises(Malformed, match="a count of ranges is 32769"):
        read(replace(most, ranges=(*ranges, Extent(2 * 32_768, 1))))


def test_controls_are_what_their_stream_has() -> None:
    wide = SHORT._replace(controls=1, meta=Stream(1, 1), control=Stream(1, 1))
    for controls, length in ((1, 11), (1, 13), (2, 12), (0, 12)):
        with pytest.raises(Malformed, match="not the controls that it promises"):
            read(replace(PLAIN, segments=(wide._replace(controls=controls, control=Stream(1, length)),)))


@pytest.mark.parametrize("op", [Delta, Unpack])
def test_extents_of_an_operation(op: type[Delta | Unpack]) -> None:
    for count, fits in ((4096, True), (4097, False), (0, False)):
        meta = encode([op(1, 1, (Extent(0, 1),) * count)])
        if fits:
            assert len(list(decode(meta, 1))) == 1
        else:
            with pytest.raises(Malformed, match=f"an operation has {count} extents"):
                list(decode(meta, 1))
