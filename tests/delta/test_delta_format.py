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
from otad.delta.format import Contents, Limits, New, Old, header_length, pack_head, unpack_header, unpack_index
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


def head(**changes: Any) -> tuple[whole.Header, bytes]:
    limits = Limits(segment=1000, frame=1000, window=10, output=10, codecs=0, spool=0)
    given = {"source": Old(payload=HASH, length=21, sha256=HASH), "target": New(length=100, sha256=HASH), "block": 1 << 16}
    return pack_head(**{**given, "limits": limits, "contents": contents(Extent(5, 10), Extent(20, 1)), **changes})


def test_a_head_comes_back() -> None:
    header, data = head(pack=["gzip -n -6#0123456789abcdef"], unpack=["gzip"])
    length = header_length(data[: whole.START])
    assert unpack_header(data[whole.START : whole.START + length]) == header
    found = unpack_index(header, data[whole.START + length :])
    assert found.ranges == (Extent(5, 10), Extent(20, 1))
    assert (found.old, found.new, found.segments[0].content) == ((b"o" * 32,), (bytes.fromhex(HASH),), 100)
    assert header.needs == ("gzip", "gzip -n -6#0123456789abcdef")
    assert header.memory == 1000 + 1000 + 10 + 2 * (1 << 16) + whole.OWN
    small = header.model_copy(update={"limits": header.limits.model_copy(update={"frame": 0})})
    assert small.memory == 1000 + 10 + 2 * 10 + 10 + 2 * (1 << 16) + whole.OWN


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": Limits(segment=10, frame=1000, window=10, output=10, codecs=0, spool=0)},
        {"limits": Limits(segment=1000, frame=10, window=10, output=10, codecs=0, spool=0)},
        {"source": Old(payload=HASH, length=20, sha256=HASH)},
        {"target": New(length=(1 << 16) + 1, sha256=HASH)},
        {"contents": contents(Extent(5, 10), Extent(15, 1))},
        {"contents": contents(Extent(5, 11), Extent(20, 0))},
        {"target": New(length=100, sha256="0" * 64)},
    ],
)
def test_a_head_that_contradicts_itself_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        head(**changes)


@given(st.data())
def test_a_mutated_head_is_another_head_or_malformed(data: st.DataObject) -> None:
    _, good = head()
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(bad[: data.draw(st.integers(0, len(bad)))])
    with suppress(Malformed):
        length = header_length(cut[: whole.START])
        header = unpack_header(cut[whole.START : whole.START + length])
        unpack_index(header, cut[whole.START + length :])


def test_a_stream_without_bytes_has_no_frame() -> None:
    good = contents(Extent(5, 10), Extent(20, 1))
    (entry,) = good.segments
    for wrong in (entry._replace(diff=streams.Stream(9, 0)), entry._replace(diff=streams.Stream(0, 9))):
        with pytest.raises(Malformed, match="has a frame"):
            head(contents=replace(good, segments=(wrong,)))


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
