from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from otad.delta import apply as applying
from otad.delta.apply import apply, check
from otad.delta.codecs import compressor, with_proof
from otad.delta.faults import Changed, Malformed, Unpackable
from otad.delta.format import Limits
from otad.delta.ops import Copy, Delta, Extent, Pack, Raw, Unpack, Zero
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool
from otad.delta.streams import Segment
from tests.delta.making import BLOCK, LIMITS, Maker, blob, patch

XZ = "xz --check=crc32 --lzma2=preset=6,dict=1024KiB"
TEXT = b"".join(b"%08x a line of some program\n" % (i * 2654435761 % (1 << 32)) for i in range(12_000))
OLD = Random(1).randbytes(300_000) + TEXT


def run(tmp_path: Path, made: bytes, old: bytes = OLD) -> bytes:
    """Check and apply, as a device does."""
    (tmp_path / "old").write_bytes(old)
    with blob(tmp_path, made).open("rb") as file, (tmp_path / "old").open("rb") as image:
        opened = Patch.opened(file, 1 << 26)
        place = Image(image, opened.header.source.length)
        list(check(opened, place))
        with Spool(str(tmp_path), opened.header.limits.spool) as spool:
            pieces = list(apply(opened, place, spool))
    assert all(0 < len(piece) <= applying.OUT for piece in pieces)
    return b"".join(pieces)


def packed(name: str, data: bytes) -> bytes:
    packer = compressor(name).begin(len(data))
    try:
        return packer.write(data) + b"".join(packer.finish())
    finally:
        packer.close()


def test_every_operation(tmp_path: Path) -> None:
    changed = bytearray(OLD[1000:200_000])
    changed[5000:5004] = b"new!"
    new = b"head" + bytes(400_000) + OLD[7:300_007] + bytes(changed) + b"tail"
    first = Maker(OLD).raw(b"head").zero(400_000).copy(7, 300_000)
    halves = [Extent(1000, 99_000), Extent(100_000, 100_000)]
    second = Maker(OLD).delta(OLD[1000:200_000], halves, bytes(changed)).raw(b"tail")
    assert run(tmp_path, patch(OLD, new, [first.segment(), second.segment()])) == new


@pytest.mark.parametrize("name", ["gzip -n -6", XZ, "zstd -T1 -3", "libzstd -T1 -3"])
def test_a_compressed_blob_is_rebuilt_from_the_difference_of_its_content(tmp_path: Path, name: str) -> None:
    before, after = TEXT, TEXT[:50_000] + b"something else" + TEXT[50_100:]
    blobs = packed(name, before), packed(name, after)
    image = b"x" * 512 + blobs[0] + bytes(512)
    new = b"y" * 512 + blobs[1] + bytes(512)
    half = len(after) // 2
    maker = Maker(image).raw(b"y" * 512).op(Unpack(len(before), 0, (Extent(512, len(blobs[0])),))).op(Pack(len(after), 0))
    maker.delta(before, [Extent(0, len(before))], after[:half], spool=True)
    rest = Maker(image).delta(before, [Extent(0, len(before))], after[half:], spool=True).zero(512)
    made = patch(
        image,
        new,
        [maker.segment(), rest.segment()],
        pack_=[with_proof(name)],
        unpack=[name.partition(" ")[0].removeprefix("lib")],
    )
    assert len(made) < len(blobs[1]) // 4
    assert run(tmp_path, made, image) == new


@pytest.mark.parametrize("name", ["gzip -n -6", XZ, "libzstd -T1 -3"])
def test_a_compressor_is_closed_at_any_time_also_twice(name: str) -> None:
    packer = compressor(name).begin(len(TEXT))
    packer.write(TEXT[:1000])
    packer.close()
    packer.close()


def test_a_root_that_was_written_to_is_found_before_anything_is_made(tmp_path: Path) -> None:
    new = OLD[:200_000]
    made = patch(OLD, new, [Maker(OLD).copy(0, 150_000).copy(150_000, 50_000).segment()])
    written = bytearray(OLD)
    written[70_000] ^= 1
    with pytest.raises(Changed, match=f"from byte {BLOCK} on"):
        run(tmp_path, made, bytes(written))
    written = bytearray(OLD)
    written[200_001] ^= 1  # nobody reads it
    assert run(tmp_path, made, bytes(written)) == new


def test_a_root_that_changes_after_the_check_gives_nothing_wrong(tmp_path: Path) -> None:
    made = patch(OLD, OLD, [Maker(OLD).copy(0, len(OLD)).segment()])
    (tmp_path / "old").write_bytes(OLD[:140_000] + b"?" + OLD[140_001:])
    with blob(tmp_path, made).open("rb") as file, (tmp_path / "old").open("rb") as image, Spool(str(tmp_path), 0) as spool:
        came = apply(Patch.opened(file), Image(image, len(OLD)), spool)
        assert next(came) + next(came) == OLD[: 2 * BLOCK]
        with pytest.raises(Changed):
            list(came)


def test_another_compressor_gives_nothing_wrong(tmp_path: Path) -> None:
    blob_ = packed("gzip -n -6", TEXT)
    made = patch(b"", blob_, [Maker(b"").op(Pack(len(TEXT), 0)).raw(TEXT).segment()], pack_=["gzip -n -9#0123456789abcdef"])
    with pytest.raises(Changed, match="or a compressor differs"):
        run(tmp_path, made, b"")


def test_a_compressor_that_is_not_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = patch(b"", b"x" * 99, [Maker(b"").op(Pack(1, 0)).raw(b"x").segment()], pack_=["gzip -n -9"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unpackable, match="gzip cannot be started"):
        run(tmp_path, made, b"")


def test_a_patch_that_wants_more_memory_than_it_may_is_refused_unread(tmp_path: Path) -> None:
    made = patch(OLD, b"x", [Maker(OLD).raw(b"x").segment()], limits=LIMITS._replace(segment=1 << 40))
    with blob(tmp_path, made).open("rb") as file, pytest.raises(Malformed, match="bytes of memory"):
        Patch.opened(file, 1 << 26)


GAP = 200_000  # a byte that is not hashed
RANGES = [Extent(0, GAP), Extent(GAP + 1, len(OLD) - GAP - 1)]
SMALL = Limits(segment=1 << 20, frame=1 << 20, window=100, output=100, codecs=1 << 21, spool=100)
RECORD = Maker(b"").delta(b"", [Extent(0, 1)], b"ab").controls
SUMS = Maker(b"ab").same(2).controls
BAD = {
    "behind the image": (Segment((Copy(10, len(OLD) - 5),)), "not within its ranges"),
    "a copy of what is not hashed": (Segment((Copy(10, GAP - 5),)), "not within its ranges"),
    "a delta of what is not hashed": (Segment((Delta(2, 1, (Extent(GAP, 2),)),), SUMS, b"ab"), "not within its ranges"),
    "what is not hashed, decompressed": (Segment((Unpack(1, 0, (Extent(GAP, 9), Extent(0, 9))),)), "not within its ranges"),
    "behind the spool": (Segment((Copy(10, 0, spool=True),)), "of an image of 0"),
    "a window that is too large": (Segment((Delta(2, 1, (Extent(0, 101),)),), RECORD, b"", b"ab"), "larger than the header"),
    "an output that is too large": (Segment((Delta(101, 1, (Extent(0, 1),)),), RECORD, b"", b"ab"), "larger than the header"),
    "controls that make less": (Segment((Delta(3, 1, (Extent(0, 1),)),), RECORD, b"", b"abc"), "cannot be applied"),
    "bytes of a DELTA that are missing": (Segment((Delta(2, 1, (Extent(0, 1),)),), RECORD, b"ab", b""), "of extra are asked for"),
    "sums that are missing": (Segment((Delta(2, 1, (Extent(0, 2),)),), SUMS, b"a"), "add more than there is"),
    "sums that are left": (Segment((Delta(2, 1, (Extent(0, 2),)),), SUMS, b"abc"), "1 bytes of diff"),
    "more sums than fit": (Segment((Delta(1, 1, (Extent(0, 2),)),), SUMS, b"ab"), "than their DELTA makes"),
    "bytes that are left": (Segment((Raw(1),), extra=b"ab"), "are left at the end"),
    "bytes that are missing": (Segment((Raw(2),), extra=b"a"), "are asked for"),
    "a spool that is too large": (Segment((Unpack(101, 0, (Extent(0, 1),)),)), "larger than the header"),
    "a codec that is not named": (Segment((Unpack(1, 2, (Extent(0, 1),)),)), "no known codec"),
    "a decompressor that takes too much": (Segment((Unpack(1, 1, (Extent(0, 1),)),)), "a decompressor takes more memory"),
    "what is not compressed": (Segment((Unpack(1, 0, (Extent(0, 99),)),)), "cannot decompress"),
    "a compressor that is not named": (Segment((Pack(1, 7), Raw(1)), extra=b"a"), "no known codec"),
    "a compressor that takes too much": (Segment((Pack(1, 0), Raw(1)), extra=b"a"), "more memory than"),
    "a pack in a pack": (Segment((Pack(2, 1), Pack(1, 1), Raw(1)), extra=b"a"), "inside of another"),
    "a pack without an end": (Segment((Pack(2, 1), Raw(1)), extra=b"a"), "ends inside of a PACK"),
    "over the end of a pack": (Segment((Pack(1, 1), Raw(2)), extra=b"ab"), "reaches over"),
    "nothing": (Segment((Zero(0),)), "does nothing"),
    "work without end": (Segment((Pack(1 << 50, 1), Zero(1 << 50))), "more than any of its size"),
    "too much": (Segment((Zero(3 * BLOCK),)), "makes more than its header"),
    "too little": (Segment((Zero(BLOCK),)), f"makes {BLOCK} bytes"),
    "something else": (Segment((Zero(1),)), "from byte 0 on"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_patch_must_not_ask_for(tmp_path: Path, case: str) -> None:
    segment, why = BAD[case]
    made = patch(OLD, bytes(2 * BLOCK), [segment], limits=SMALL, pack_=[XZ, "gzip -n -1"], unpack=["gzip", "xz"], ranges=RANGES)
    with pytest.raises((Malformed, Changed, Unpackable), match=why):
        run(tmp_path, made)
