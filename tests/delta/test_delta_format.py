from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import bsdiff4.core
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from otad import config
from otad.delta import format as whole
from otad.delta import streams
from otad.delta.faults import Malformed
from otad.delta.format import Header, Limits, New, Old, header_length, pack_header, unpack_header
from otad.delta.index import Contents, head, unpack_index
from otad.delta.ops import Copy, Delta, Extent, Op, Pack, Raw, Unpack, Zero, decode, encode
from otad.delta.streams import Segment, fold, inflated, pack, unfold
from otad.delta.wire import Reader, numbers, signed, varint, zigzag

HASH = "ab" * 32
sizes = st.integers(1, 1 << 40)
extents = st.lists(st.builds(Extent, st.integers(0, 1 << 40), sizes), min_size=1, max_size=5).map(tuple)
ops = st.one_of(
    st.builds(Zero, sizes),
    st.builds(Copy, sizes, st.integers(0, 1 << 40), st.booleans()),
    st.builds(Raw, sizes),
    st.builds(Delta, sizes, st.integers(0, 99), extents, st.booleans()),
    st.builds(Unpack, sizes, st.integers(0, 9), extents),
    st.builds(Pack, sizes, st.integers(0, 9)),
)


@given(st.integers(0, (1 << 63) - 1), st.integers(-(1 << 62), (1 << 62) - 1))
def test_numbers_come_back(unsigned: int, number: int) -> None:
    data = varint(unsigned) + zigzag(number)
    reader = Reader(data)
    assert (reader.varint(), signed(reader.varint()), reader.left) == (unsigned, number, 0)
    assert [*numbers(data)] == [unsigned, (number << 1) ^ (number >> 63)]


@given(st.binary(max_size=40))
def test_both_ways_to_read_numbers_agree(data: bytes) -> None:
    reader, one_by_one = Reader(data), []
    with suppress(Malformed):
        while reader.left:
            one_by_one.append(reader.varint())
    together: list[int] = []
    with suppress(Malformed):
        together.extend(numbers(data))  # keeps what came before the fault
    assert together == one_by_one


@given(st.lists(ops, max_size=20))
def test_operations_come_back(given_ops: list[Op]) -> None:
    assert list(decode(encode(given_ops), len(given_ops))) == given_ops


@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_operations_or_malformed(meta: bytes, count: int) -> None:
    with suppress(Malformed):
        assert len(list(decode(meta, count))) == count


counts = st.integers(0, (1 << 31) - 1)
controls = st.lists(st.tuples(counts, counts, st.integers(-(1 << 31) + 1, (1 << 31) - 1)), min_size=1, max_size=30)


@given(controls)
def test_controls_come_back_from_their_planes(rows: list[tuple[int, int, int]]) -> None:
    records = b"".join(bsdiff4.core.encode_int64(number) for row in rows for number in row)
    assert unfold(fold(records)) == records


@pytest.mark.parametrize("row", [(-1, 0, 0), (0, -1, 0), (1 << 31, 0, 0), (0, 1 << 40, 0), (0, 0, 1 << 31), (0, 0, -(1 << 33))])
def test_a_control_that_does_not_fit_is_refused(row: tuple[int, int, int]) -> None:
    with pytest.raises(Malformed):
        fold(b"".join(map(bsdiff4.core.encode_int64, row)))


def test_a_segment_tells_what_it_takes() -> None:
    record = b"".join(map(bsdiff4.core.encode_int64, (3, 1, 0)))
    segment = Segment((Zero(9), Pack(5, 0), Raw(1), Delta(4, 1, (Extent(7, 3),))), record, b"\0\0\1", b"xy")
    entry, stored = pack(segment)
    assert (entry.content, entry.ops, entry.controls, entry.stored) == (14, 4, 1, len(stored))
    assert entry.memory == entry.meta.length + 48 + 3 + 2
    assert entry.frame == max(entry.meta.stored, entry.control.stored, entry.diff.stored, entry.extra.stored)
    meta = stored[: entry.meta.stored]
    assert list(decode(inflated(meta, entry.meta), 4)) == list(segment.ops)
    with pytest.raises(Malformed):
        pack(segment._replace(controls=b""))


def test_a_frame_that_says_another_length_is_not_decoded() -> None:
    entry, stored = pack(Segment((Raw(1 << 20),), extra=bytes(1 << 20)))
    frame = stored[entry.meta.stored :]
    with pytest.raises(Malformed):
        inflated(frame, streams.Stream(len(frame), 1 << 10))


def contents(*ranges: Extent) -> Contents:
    entry, _ = pack(Segment((Raw(100),), extra=bytes(100)))
    return Contents(ranges, (b"o" * 32,), (bytes.fromhex(HASH),), (entry,))


GIVEN: dict[str, Any] = {
    "source": Old(HASH, 21, HASH),
    "target": New(100, HASH),
    "block": 1 << 16,
    "limits": Limits(segment=1000, frame=1000, window=10, output=10, codecs=0, spool=0),
}


def made(**changes: Any) -> bytes:
    return head(**{**GIVEN, "contents": contents(Extent(5, 10), Extent(20, 1)), **changes})


def read(data: bytes) -> tuple[Header, Contents]:
    end = whole.START + header_length(data[: whole.START])
    header = unpack_header(data[whole.START : end])
    return header, unpack_index(header, data[end:])


def test_a_head_comes_back() -> None:
    header, found = read(made(pack=["gzip -n -6#0123456789abcdef"], unpack=["gzip"]))
    assert {name: getattr(header, name) for name in GIVEN} == GIVEN
    assert found.ranges == (Extent(5, 10), Extent(20, 1))
    assert (found.old, found.new, found.segments[0].content) == ((b"o" * 32,), (bytes.fromhex(HASH),), 100)
    assert header.needs == ("gzip", "gzip -n -6#0123456789abcdef")
    assert header.memory == 1000 + 1000 + 10 + 2 * (1 << 16) + whole.OWN
    small = replace(header, limits=header.limits._replace(frame=0))
    assert small.memory == 1000 + 10 + 2 * 10 + 10 + 2 * (1 << 16) + whole.OWN


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": Limits(segment=10, frame=1000, window=10, output=10, codecs=0, spool=0)},
        {"limits": Limits(segment=1000, frame=10, window=10, output=10, codecs=0, spool=0)},
        {"source": Old(HASH, 20, HASH)},
        {"target": New((1 << 16) + 1, HASH)},
        {"contents": contents(Extent(5, 10), Extent(15, 1))},
        {"contents": contents(Extent(5, 11), Extent(20, 0))},
        {"target": New(100, "0" * 64)},
    ],
)
def test_a_head_that_contradicts_itself_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        made(**changes)


HEADER = Header(**GIVEN, index=streams.Stream(99, 99), pack=("gzip -n -6#0123456789abcdef",), unpack=("gzip",))
WRONG: dict[str, dict[str, Any]] = {
    "length of the old image": {"source": Old(HASH, 1 << 62, HASH)},
    "length of the target": {"target": New(0, HASH)},
    "block is 65535": {"block": (1 << 16) - 1},
    "block is 16777217": {"block": (1 << 24) + 1},
    "limit of spool": {"limits": GIVEN["limits"]._replace(spool=1 << 62)},
    "length of the index is 0": {"index": streams.Stream(0, 99)},
    "length of the index is 4194305": {"index": streams.Stream(99, (1 << 22) + 1)},
    "count of codecs": {"pack": ("gzip",) * 65},
    "a codec's name is 0": {"unpack": ("",)},
    "a codec's name is 201": {"unpack": ("x" * 201,)},
}


@pytest.mark.parametrize("why", WRONG)
def test_a_header_that_asks_for_what_cannot_be_is_refused(why: str) -> None:
    with pytest.raises(Malformed, match=why):
        pack_header(replace(HEADER, **WRONG[why]))


def test_a_header_is_all_there_is_of_it() -> None:
    data = pack_header(HEADER)[whole.START :]
    assert unpack_header(data) == HEADER
    for cut in range(len(data)):
        with pytest.raises(Malformed):
            unpack_header(data[:cut])
    with pytest.raises(Malformed, match="1 bytes follow the header"):
        unpack_header(data + b"x")
    with pytest.raises(Malformed, match="not UTF-8"):
        unpack_header(data.replace(b"gzip", b"gz\xffp"))


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"otadelta\1\0\0\0", "does not begin"),
        (b"otadeltb\1\0\0\0\0", "does not begin"),
        (b"otadelta\2\0\0\0\0", "version 2, and this otad knows version 1"),
        (b"otadelta\1\1\0\1\0", "its header has 65537 bytes"),
    ],
)
def test_what_is_no_patch_of_this_version_is_told(start: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        header_length(start)


@given(st.data())
def test_a_mutated_head_is_another_head_or_malformed(data: st.DataObject) -> None:
    good = made()
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(bad[: data.draw(st.integers(0, len(bad)))])
    with suppress(Malformed):
        read(cut)


def test_a_stream_without_bytes_has_no_frame() -> None:
    good = contents(Extent(5, 10), Extent(20, 1))
    (entry,) = good.segments
    for wrong in (entry._replace(diff=streams.Stream(9, 0)), entry._replace(diff=streams.Stream(0, 9))):
        with pytest.raises(Malformed, match="has a frame"):
            made(contents=replace(good, segments=(wrong,)))


@pytest.mark.parametrize("op", [Copy(0, 5), Delta(9, 1, (Extent(0, 9), Extent(5, 0))), Unpack(9, 0, (Extent(5, 0),))])
def test_an_extent_without_bytes_is_refused(op: Op) -> None:
    with pytest.raises(Malformed, match="or nothing"):
        list(decode(encode([op]), 1))


def test_a_window_that_is_too_large_is_refused() -> None:
    data = bytes(streams.WINDOW + 1)
    for window, fits in ((22, True), (23, False)):
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window, write_content_size=True)
        frame = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
        with nullcontext() if fits else pytest.raises(Malformed, match="a window of more"):
            assert inflated(frame, streams.Stream(len(frame), len(data))) == data
        assert (zstandard.get_frame_parameters(frame).window_size <= streams.WINDOW) is fits


def test_what_is_made_for_devices_is_what_they_allow() -> None:
    assert config.Download().memory == whole.MEMORY
