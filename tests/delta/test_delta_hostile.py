"""Patches whose frames are whole and whose content nobody meant: a Fault, or the target, in bounded time and memory."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from pathlib import Path

import bsdiff4.core
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otad.delta import ops, streams
from otad.delta.apply import apply, check
from otad.delta.faults import Fault
from otad.delta.format import Header, Limits, New, Old, pack_header
from otad.delta.index import Contents, pack_index
from otad.delta.ops import Copy, Delta, Extent, Op, Pack, Raw, Unpack, Zero
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from otad.delta.streams import Entry
from tests.delta.making import BLOCK, PAYLOAD, growing, hashes

TEXT = b"a text that is compressed " * 40
OLD = bytes(range(256)) * 4 + zstandard.compress(TEXT)
NEW = OLD[:700] + bytes(100) + TEXT
LIMITS = Limits(segment=1 << 16, frame=1 << 16, window=1 << 11, output=1 << 11, codecs=1 << 24, spool=1 << 11)

lengths = st.one_of(st.integers(0, 300), st.sampled_from([len(OLD), len(TEXT), 1 << 20, 1 << 40, (1 << 61) - 1]))
places = st.one_of(st.integers(0, len(OLD) + 10), st.sampled_from([1024, 1 << 40]))
extents = st.lists(st.builds(Extent, places, lengths), min_size=1, max_size=3).map(tuple)
good = st.sampled_from(
    [
        Copy(700, 0),
        Zero(100),
        Raw(10),
        Unpack(len(TEXT), 0, (Extent(1024, len(OLD) - 1024),)),
        Copy(len(TEXT), 0, spool=True),
        Pack(100, 0),
        Delta(8, 1, (Extent(0, 8),)),
    ]
)
operations: st.SearchStrategy[Op] = st.one_of(
    good,
    st.builds(Zero, lengths),
    st.builds(Copy, lengths, places, st.booleans()),
    st.builds(Raw, lengths),
    st.builds(Delta, lengths, st.integers(0, 3), extents, st.booleans()),
    st.builds(Unpack, lengths, st.integers(0, 1), extents),
    st.builds(Pack, lengths, st.integers(0, 1)),
)
small = st.one_of(st.integers(0, 20), st.just((1 << 31) - 1))
controls = st.lists(st.tuples(small, small, st.one_of(st.integers(-50, 50), st.just(-(1 << 31) + 1))), max_size=4)
numbers = st.one_of(st.none(), st.integers(0, 100), st.sampled_from([1 << 16, 1 << 40]))


@st.composite
def segments(draw: st.DrawFn) -> tuple[Entry, bytes]:
    """A segment with whole frames; its entry may say something else than what is in them."""
    chosen = draw(st.lists(operations, max_size=6))
    rows = draw(controls)
    planes = streams.fold(b"".join(bsdiff4.core.encode_int64(number) for row in rows for number in row))
    decoded = [ops.encode(chosen), planes, draw(st.binary(max_size=40)), draw(st.binary(max_size=40))]
    frames = [zstandard.compress(one) if one else b"" for one in decoded]
    made = sum(op.length for op in chosen if not isinstance(op, Unpack | Pack))
    lies = [draw(numbers) for _ in range(3)] if draw(st.booleans()) else [None] * 3
    content, count, every = (
        there if said is None else said for said, there in zip(lies, (made, len(chosen), len(rows)), strict=True)
    )
    told = (streams.Stream(len(frame), len(one)) for frame, one in zip(frames, decoded, strict=True))
    return Entry(min(content, (1 << 62) - 1), count, every, *told), b"".join(frames)


def assembled(parts: list[tuple[Entry, bytes]], new: bytes) -> bytes:
    """A patch that says so, without asking whether a device would take it."""
    contents = Contents((Extent(0, len(OLD)),), hashes(OLD), growing(new), tuple(entry for entry, _ in parts))
    index = pack_index(contents)
    stored = zstandard.compress(index)
    header = Header(
        source=Old(PAYLOAD, len(OLD), hashlib.sha256(OLD).hexdigest()),
        target=New(len(new), hashlib.sha256(new).hexdigest()),
        block=BLOCK,
        limits=LIMITS,
        index=streams.Stream(len(stored), len(index)),
        pack=("libzstd --single-thread -1",),
        unpack=("zstd",),
    )
    return pack_header(header) + stored + b"".join(frames for _, frames in parts)


@given(st.lists(segments(), min_size=1, max_size=3), st.sampled_from([NEW, OLD[:700] + bytes(100)]))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_nothing_but_the_target_leaves(parts: list[tuple[Entry, bytes]], new: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "old").write_bytes(OLD)
        Path(folder, "patch").write_bytes(assembled(parts, new))
        with Path(folder, "patch").open("rb") as file, Path(folder, "old").open("rb") as old, suppress(Fault):
            patch = Patch.opened(file)
            image = Image(old, len(OLD))
            assert list(check(patch, image))
            with Spool(folder, patch.header.limits.spool) as spool:
                assert b"".join(apply(patch, image, spool)) == new
