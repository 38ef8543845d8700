"""What is published stays readable: a patch of version 1 that was kept, and bytes that are written out here.

None of these may ever change: a device in the field reads what was published years ago. Another format is another version, and
gets a golden patch of its own beside this one. docs/delta-format.md tells what the bytes mean.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import bsdiff4.core
import pytest

from otad.delta.apply import apply, check
from otad.delta.codecs import known_input
from otad.delta.faults import Malformed
from otad.delta.format import MEMORY, Header, Limits, New, Old, pack_header, unpack_header
from otad.delta.index import Contents, pack_index, unpack_index
from otad.delta.ops import Copy, Delta, Extent, Op, Pack, Raw, Unpack, Zero, decode, encode
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from otad.delta.streams import Entry, Segment, Stream, fold, pack, unfold
from tests.delta.making import PAYLOAD, Maker, patch

# -- a patch that was kept ----------------------------------------------------------------------------------------------------

GOLDEN = Path(__file__).with_name("golden") / "version-1.hex"
"""patch(OLD, NEW, SEGMENTS, pack_=PACK, unpack=UNPACK, limits=LIMITS), as it was once made."""


def noise(first: int, length: int) -> bytes:
    """Bytes that nothing compresses, and that are the same everywhere."""
    every = range(first, first + -(-length // 32))
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in every)[:length]


def lines(text: bytes) -> bytes:
    return b"".join(text % i for i in range(40))


PROGRAM, WORDS = lines(b"a line of some old program, numbered %d\n"), lines(b"%d is a word of the old text\n")
GZIP = bytes.fromhex(  # of PROGRAM, as it was once made: any decompressor gives the same
    "1f8b08000000000002038dd4310ec2400c44d13ea7f00128f00c01729c455922a46c162de2fe70845fb9f9959fec12fbeba8d19ff1e9ed3ff735dea36fa3"
    "b4531cdff6a8a3ae719e0ac992656299597661d9ccb22bcb6e2cbbb36c81eba50cd021214442898414092d126224d448c891d043d043f42ea087a087a087"
    "a087a087a087a087a087a187a187e9a3821e861e861e861e861e861e5ea61fba17276336060000"
)
ZSTD = bytes.fromhex(  # of WORDS
    "28b52ffd607e03cd020052440e11a03d783c19be56d57f5b4a4a28f8b309036488f7e6d5c06488f7e6d5b06488f7e6552543bc37af8217cf4bb3589ef412"
    "b1348dc12ce9548627a811c0b7ff1de0a5d611fcff4efda5752b6e10c888432cb7e0fedd6a"
)
AT_GZIP, AT_ZSTD = 70_100, 70_900
OLD = (noise(0, 40_000) + bytes(30_100) + GZIP).ljust(AT_ZSTD, b"-") + ZSTD
PACKED = noise(5000, 300)
PACK, UNPACK = ("gzip -n -9#0123456789abcdef", "libzstd --single-thread -1#0123456789abcdef"), ("zstd", "gzip")
LIMITS = Limits(segment=1 << 13, frame=1 << 10, window=1 << 11, output=1 << 11, codecs=1 << 24, spool=1 << 11)
CONTROLS = ((3, 2, -4), (4, 0, 0)), ((9, 1, 0),)


def record(*numbers: int) -> bytes:
    return b"".join(map(bsdiff4.core.encode_int64, numbers))


def segments() -> tuple[Segment, ...]:
    """Every operation, from the image and from the spool; two ranges that touch nothing; a PACK over a segment's end."""
    first = Maker(OLD).raw(b"head").zero(300).copy(0, 40_000).copy(41_000, 28_000)
    halves = (Extent(20, 6), Extent(7, 5))
    first._with(Delta(9, 2, halves), controls=b"".join(record(*one) for one in CONTROLS[0]), diff=b"\1" * 7, extra=b"ex")
    second = Maker(OLD).op(Unpack(len(PROGRAM), 1, (Extent(AT_GZIP, 100), Extent(AT_GZIP + 100, len(GZIP) - 100))))
    second.copy(7, 90, spool=True)._with(
        Delta(10, 1, (Extent(200, 4), Extent(300, 5)), spool=True), controls=record(*CONTROLS[1][0]), diff=bytes(9), extra=b"X"
    )
    second.op(Unpack(900, 0, (Extent(AT_ZSTD, len(ZSTD)),))).copy(800, 100, spool=True)
    second.op(Pack(len(PACKED), 1)).raw(PACKED[:200])
    return first.segment(), second.segment(), Maker(OLD).raw(PACKED[200:]).copy(100, 50).raw(b"tail").segment()


def target() -> bytes:
    """What comes out, without otad: a frame of one raw block, for nothing compresses what is packed."""
    read = OLD[20:26] + OLD[7:12]
    summed = bytes((byte + 1) % 256 for byte in read[:3]) + b"ex" + bytes([1]) + bytes((byte + 1) % 256 for byte in read[:3])
    return b"".join(
        (
            b"head" + bytes(300) + OLD[:40_000] + OLD[41_000:69_000] + summed,
            PROGRAM[7:97] + PROGRAM[200:204] + PROGRAM[300:305] + b"X",
            WORDS[800:900],
            bytes.fromhex("28b52ffd 64 2c00 610900"),  # magic; checksum, length in 2 bytes: 300 - 256; the last block: 300, raw
            PACKED,
            bytes.fromhex("3dec4c71"),
            OLD[100:150] + b"tail",
        )
    )


def golden(folder: Path) -> tuple[Path, Path]:
    """The patch and its old image, as files."""
    (folder / "patch").write_bytes(bytes.fromhex(GOLDEN.read_text()))
    (folder / "old").write_bytes(OLD)
    return folder / "patch", folder / "old"


def test_a_patch_that_was_published_still_decodes(tmp_path: Path) -> None:
    kept, old = golden(tmp_path)
    with kept.open("rb") as file, old.open("rb") as image, Spool(str(tmp_path), LIMITS.spool) as spool:
        opened = Patch.opened(file, MEMORY)
        assert list(check(opened, Image(image, len(OLD)))) == [1 << 16, 68_000 + len(GZIP) + len(ZSTD)]
        assert b"".join(apply(opened, Image(image, len(OLD)), spool)) == target()


def test_it_says_what_it_said(tmp_path: Path) -> None:
    kept, _ = golden(tmp_path)
    with kept.open("rb") as file:
        opened = Patch.opened(file, MEMORY)
        header, contents = opened.header, opened.contents
        assert header.source == Old(PAYLOAD, len(OLD), hashlib.sha256(OLD).hexdigest())
        assert header.target == New(len(target()), hashlib.sha256(target()).hexdigest())
        assert (header.block, header.limits, header.pack, header.unpack) == (1 << 16, LIMITS, PACK, UNPACK)
        assert contents.ranges == ((0, 40_000), (41_000, 28_000), (AT_GZIP, len(GZIP)), (AT_ZSTD, len(ZSTD)))
        assert len(contents.old) == len(contents.new) == 2
        for part, segment in zip(opened.parts(), segments(), strict=True):
            assert tuple(decode(part.meta, part.entry.ops)) == segment.ops
            assert part.entry.controls * 24 == len(segment.controls)


def test_what_is_made_now_says_the_same(tmp_path: Path) -> None:
    """But for its frames, which another Zstandard makes of another length."""
    kept, _ = golden(tmp_path)
    (tmp_path / "new").write_bytes(patch(OLD, target(), segments(), pack_=PACK, unpack=UNPACK, limits=LIMITS))
    with kept.open("rb") as file, (tmp_path / "new").open("rb") as again:
        before, now = Patch.opened(file, MEMORY), Patch.opened(again, MEMORY)
        assert replace(now.header, index=before.header.index) == before.header
        assert replace(now.contents, segments=()) == replace(before.contents, segments=())
        for one, other in zip(before.contents.segments, now.contents.segments, strict=True):
            assert one[:3] == other[:3]
            assert [stream.length for stream in one.streams] == [stream.length for stream in other.streams]


# -- bytes that are written out -----------------------------------------------------------------------------------------------

OPERATIONS: list[tuple[Op, str]] = [
    (Zero(300), "00 ac02"),
    (Copy(5, 1000), "01 d00f 05"),
    (Raw(1), "02 01"),
    (Delta(130, 2, (Extent(1010, 7), Extent(3, 4))), "03 8201 02 02 0a 07 eb0f 04"),  # 5 on, 1014 back
    (Copy(6, 20, spool=True), "09 28 06"),
    (Delta(7, 1, (Extent(30, 8),), spool=True), "0b 07 01 01 08 08"),
    (Unpack(200, 1, (Extent(7, 9), Extent(16, 1))), "04 c801 01 02 00 09 00 01"),
    (Copy(6, 20, spool=True), "09 28 06"),  # from 0 again
    (Copy(1, 17), "01 00 01"),  # the image's place stays
    (Pack(13, 63), "05 0d 3f"),
]


def test_the_bytes_of_every_operation() -> None:
    ops, meta = [op for op, _ in OPERATIONS], bytes.fromhex(" ".join(data for _, data in OPERATIONS))
    assert {type(op) for op in ops} == {Zero, Copy, Raw, Delta, Unpack, Pack}
    for until in range(1, len(ops) + 1):
        assert encode(ops[:until]).hex() == bytes.fromhex(" ".join(data for _, data in OPERATIONS[:until])).hex()
    assert list(decode(meta, len(ops))) == ops


@pytest.mark.parametrize("kind", [6, 7, 0x08, 0x0A, 0x0C, 0x0D, 0x10, 0x11, 0x13, 0x21])
def test_no_other_kind_is_known(kind: int) -> None:
    with pytest.raises(Malformed, match=f"an operation {kind} does not exist"):
        list(decode(bytes([kind, 1, 1, 1, 0, 1]), 1))


HEADER = Header(
    source=Old("11" * 32, 300, "22" * 32),
    target=New(5, "33" * 32),
    block=1 << 16,
    limits=Limits(segment=1, frame=2, window=3, output=4, codecs=5, spool=6),
    index=Stream(7, 8),
    pack=("gzip -n -9#0123456789abcdef",),
    unpack=("xz", "zstd"),
)
HEADER_BYTES = (
    b"otadelta\x01\x94\0\0\0"
    + bytes.fromhex("11" * 32 + "22" * 32 + "33" * 32)
    + bytes.fromhex("ac02 05 808004 01 02 03 04 05 06 07 08")
    + b"\x01\x1bgzip -n -9#0123456789abcdef"
    + b"\x02\x02xz\x04zstd"
)


def test_the_bytes_of_a_header() -> None:
    assert pack_header(HEADER) == HEADER_BYTES
    assert unpack_header(HEADER_BYTES[13:]) == HEADER


CONTENTS = Contents(
    ranges=(Extent(0, 200), Extent(250, 50)),
    old=(b"o" * 32,),
    new=(b"\x33" * 32,),
    segments=(Entry(5, 1, 2, Stream(9, 10), Stream(11, 24), Stream(12, 13), Stream(14, 300)),),
)
INDEX_BYTES = (
    bytes.fromhex("02 00 c801 32 32") + b"o" * 32 + b"\x33" * 32 + bytes.fromhex("01 05 01 02 09 0a 0b 18 0c 0d 0e ac02")
)


def test_the_bytes_of_an_index() -> None:
    assert pack_index(CONTENTS) == INDEX_BYTES
    raw = bytes.fromhex("28b52ffd 20 53 990200") + INDEX_BYTES  # a frame without compression: its length, one raw block
    wide = replace(
        HEADER, limits=HEADER.limits._replace(segment=1 << 10, frame=1 << 10), index=Stream(len(raw), len(INDEX_BYTES))
    )
    assert unpack_index(wide, raw) == CONTENTS


def test_the_planes_of_controls() -> None:
    records = record(0x01020304, 0x11121314, 0x21222324) + record(0x05060708, 0x15161718, -0x25262728)
    planes = "0408 0307 0206 0105 1418 1317 1216 1115 2428 2327 2226 21a5"
    assert fold(records).hex(" ", 2) == planes
    assert unfold(bytes.fromhex(planes)) == records


def test_the_streams_of_a_segment_stand_in_order() -> None:
    """meta, control, diff, extra: what is not there has no frame."""
    entry, stored = pack(Segment((Delta(3, 1, (Extent(0, 1),)), Raw(1)), record(1, 2, 0), b"d", b"xyz"))
    assert [stream.length for stream in entry.streams] == [8, 12, 1, 3]
    assert entry.stored == len(stored)
    assert pack(Segment((Zero(1),)))[0][4:] == (Stream(0, 0),) * 3


def test_what_proofs_are_made_of() -> None:
    """A device of another version proves its compressors with the same bytes, or takes no delta ever."""
    assert len(known_input()) == 262_144
    assert hashlib.sha256(known_input()).hexdigest() == "4ccc6ff95f50edd221e1b2afe8e8b5abc6262a341b75b8ca80eadf7ac852a49e"


# -- memory, as the page tells it ---------------------------------------------------------------------------------------------

DECLARED = Limits(segment=1_000_000, frame=20_000_000, window=3_000_000, output=400_000, codecs=50_000_000, spool=6_000_000_000)


@pytest.mark.parametrize(
    ("frame", "memory"),
    [
        (20_000_000, 1_000_000 + 20_000_000 + 400_000 + 2 * 70_000 + 50_000_000 + 8_388_608),
        (3_800_001, 1_000_000 + 3_800_001 + 400_000 + 2 * 70_000 + 50_000_000 + 8_388_608),
        (3_799_999, 1_000_000 + (3_000_000 + 2 * 400_000) + 400_000 + 2 * 70_000 + 50_000_000 + 8_388_608),
    ],
)
def test_the_memory_of_a_header(frame: int, memory: int) -> None:
    assert replace(HEADER, block=70_000, limits=DECLARED._replace(frame=frame)).memory == memory


def test_what_devices_allow() -> None:
    assert MEMORY == 67_108_864
