"""What a device says of a delta that it cannot use, and that nothing of it leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from otad.delta import places
from otad.delta.codecs import with_proof
from otad.delta.faults import Malformed, Unreadable
from otad.delta.format import Limits
from otad.delta.index import OPS, RANGES
from otad.delta.ops import Copy, Delta, Extent, Zero
from otad.delta.spool import Spool
from otad.delta.streams import Segment, pack
from otad.encoding import Base, Means, Source, choose, delta
from otad.encoding.delta import DECODER
from otad.errors import Corrupt
from otad.formats.encodings import Encoding
from tests.delta.making import LIMITS, PAYLOAD, Maker, blob, patch
from tests.fuzz.delta import NEW, OLD, patches
from tests.support.mounts import attached, mounted, need_root, run

PATCH = patches()[0]
ENCODING = Encoding(type="delta", blob="0" * 64, length=9, base=PAYLOAD, memory=1 << 25)


def given(folder: Path, data: bytes = PATCH, old: bytes = OLD) -> Source:
    """A patch in the cache, over a base that is a file."""
    (folder / "slot").write_bytes(old)
    base = Base(PAYLOAD, folder / "slot")
    return Source(blob(folder, data), DECODER, hashlib.sha256(NEW).hexdigest(), len(NEW), base, 1 << 26)


def code(work: Callable[[], object]) -> str:
    with pytest.raises(Corrupt) as caught:
        work()
    assert str(caught.value.cause.remedy)
    return caught.value.cause.code


def test_it_decodes_over_a_file(tmp_path: Path) -> None:
    source = given(tmp_path)
    assert list(source.check())
    assert b"".join(source.stream()) == NEW
    assert {path.name for path in tmp_path.iterdir()} == {"slot", source.blob.name}  # no spool is left


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_a_truncated_patch(tmp_path: Path, cut: int) -> None:
    source = given(tmp_path, PATCH[:cut])
    assert code(lambda: list(source.check())) == code(lambda: list(source.stream())) == "patch-malformed"


def test_a_patch_that_rotted_in_the_cache_reaches_no_library(tmp_path: Path) -> None:
    source = given(tmp_path)
    source.blob.write_bytes(PATCH[:-1] + b"?")
    assert code(lambda: list(source.stream())) == "patch-malformed"


def test_a_base_that_is_another_or_none(tmp_path: Path) -> None:
    source = given(tmp_path)
    assert source.base
    other = replace(source, base=replace(source.base, payload="1" * 64))
    gone = replace(source, base=replace(source.base, path=tmp_path / "gone"))
    for wrong in (other, gone, replace(source, base=None), given(tmp_path, old=OLD[:-1]), given(tmp_path, old=b"?" + OLD[1:])):
        assert code(lambda wrong=wrong: list(wrong.check())) == "base-changed"  # type: ignore[misc]
    assert str(DECODER.refuses(ENCODING, None)).endswith("is not what this device has")


def test_a_patch_that_takes_more_than_its_encoding_declares(tmp_path: Path) -> None:
    source = replace(given(tmp_path), memory=1 << 20)
    assert code(lambda: list(source.check())) == "patch-malformed"


def test_a_disk_without_room_for_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    source = given(tmp_path)
    assert code(lambda: list(source.check())) == code(lambda: list(source.stream())) == "no-room-for-spool"


def test_a_spool_leaves_of_the_disk_what_the_journal_needs(tmp_path: Path) -> None:
    source = replace(given(tmp_path), reserve=1 << 60)
    assert code(lambda: list(source.check())) == code(lambda: list(source.stream())) == "no-room-for-spool"
    small = patch(OLD, NEW, [Maker(OLD).raw(NEW).segment()], limits=LIMITS._replace(spool=0))
    assert b"".join(replace(given(tmp_path, small), reserve=1 << 60).stream()) == NEW, "it puts nothing there"


def test_a_patch_for_a_larger_image_than_there_is(tmp_path: Path) -> None:
    """The work that it may do grows with the length that it tells."""
    source = given(tmp_path, patch(OLD + bytes(1 << 20), NEW, [Maker(OLD).raw(NEW).segment()]))
    assert code(lambda: list(source.check())) == code(lambda: list(source.stream())) == "base-changed"


def test_a_disk_that_loses_the_spool_is_not_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = Spool.fill

    def lost(spool: Spool, pieces: Iterable[bytes]) -> None:
        fill(spool, pieces)
        os.truncate(spool._file.fileno(), 9)

    monkeypatch.setattr(Spool, "fill", lost)
    source = given(tmp_path)
    assert code(lambda: list(source.stream())) == "spool-unreadable"


def test_a_spool_that_cannot_be_read_is_the_disks_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, os.strerror(5))

    with Spool(str(tmp_path), 9) as spool:
        spool.fill([b"123456789"])
        assert spool.read(2, 3) == b"345"
        monkeypatch.setattr(os, "pread", broken)
        with pytest.raises(Unreadable, match="at byte 2: Input/output error"):
            spool.read(2, 3)


def test_a_compressor_is_proved_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Base(PAYLOAD, tmp_path)
    good = ENCODING.model_copy(update={"needs": ("xz", with_proof("gzip -n -6"))})
    assert delta.Delta().refuses(good, base) is None
    wrong = ENCODING.model_copy(update={"needs": ("gzip -n -6#0123456789abcdef",)})
    assert delta.Delta().refuses(wrong, base) == "'gzip -n -6' makes other bytes here than where the patch was made"
    assert (
        delta.Delta().refuses(ENCODING.model_copy(update={"needs": ("brotli -9#00",)}), base)
        == "this otad knows no compressor 'brotli -9'"
    )
    never = ENCODING.model_copy(update={"needs": ("xz --check=none --lzma2=preset=6,dict=1KiB#00",)})
    assert str(delta.Delta().refuses(never, base)).startswith("xz cannot compress with a dictionary of 1 KiB: ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gzip cannot be started" in str(delta.Delta().refuses(good, base))


def test_a_compressor_that_went_away_is_told_by_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = patch(OLD, NEW, [Maker(OLD).raw(NEW).segment()], pack_=[with_proof("gzip -n -6")])
    source = replace(given(tmp_path, made), decoder=delta.Delta())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code(lambda: list(source.check())) == "compressor-differs"


def test_the_cheapest_that_works_and_why_not_the_others() -> None:
    full = Encoding(type="zstd", blob="1" * 64, length=100)
    here = Means({"delta": DECODER, "zstd": DECODER}, {PAYLOAD: Base(PAYLOAD, Path("/dev/null"))}, 1 << 26)
    ways = [full.model_copy(update={"base": PAYLOAD}), ENCODING]
    assert choose(ways, here).usable[0] == ENCODING
    again = choose(ways, here, failed=[ENCODING.blob])
    assert [one.blob for one in again.usable] == [full.blob]
    assert again.reasons() == "delta (9 bytes): it failed here before"
    assert "bytes of memory" in choose(ways, replace(here, memory=1 << 20)).reasons()


MEMORY = """
import sys
from pathlib import Path
import bsdiff4
from otad.delta.apply import apply, check
from otad.delta.patch import Patch
from otad.delta.places import Image
from otad.delta.spool import Spool


def held(what):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(what + ":")[2].split()[0]) << 10


Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
before = held("VmRSS")
with open(sys.argv[1], "rb") as file, open(sys.argv[2], "rb") as old:
    patch = Patch.opened(file)
    image = Image(old, patch.header.source.length)
    list(check(patch, image))
    with Spool(sys.argv[3], patch.header.limits.spool) as spool:
        for _ in apply(patch, image, spool):
            pass
took = held("VmHWM") - before
assert took <= patch.header.memory, (took, patch.header.memory)
"""


def wide(old: bytes) -> tuple[Segment, bytes]:
    """A window of two extents, read once."""
    return Maker(old).same(9, [Extent(0, len(old) - 1), Extent(len(old) - 1, 1)]).segment(), old[:9]


def long(old: bytes) -> tuple[Segment, bytes]:
    """Outputs, one after the other."""
    length = 10 << 20
    return Maker(old).same(length, [Extent(0, length)]).same(length, [Extent(0, length)]).segment(), 2 * old[:length]


def behind(old: bytes) -> tuple[Segment, bytes]:
    """A crumb, and right behind it all that a DELTA can make."""
    length = 10 << 20
    return Maker(old).raw(b"x").same(length, [Extent(0, length)]).segment(), b"x" + old[:length]


def scattered(old: bytes) -> tuple[Segment, bytes]:
    """As many ranges as an index names."""
    return Segment(tuple(Copy(1, at) for at in range(0, 2 * RANGES, 2))), old[: 2 * RANGES : 2]


def literal(_: bytes) -> tuple[Segment, bytes]:
    """Bytes that no compressor makes smaller, and nothing else: frame and content are held at once."""
    new = os.urandom(24 << 20)
    return Maker(b"").raw(new).segment(), new


def controlled(_: bytes) -> tuple[Segment, bytes]:
    """One DELTA with very many controls: they are unfolded, and cut out."""
    seeks = os.urandom(3 << 20)
    every = len(seeks) // 3
    controls = bytearray(24 * (every + 1))
    for byte in range(3):
        controls[16 + byte : -24 : 24] = seeks[byte::3]
    controls[24 * every + 8] = 1  # and one byte of extra
    return Segment((Delta(1, every + 1, (Extent(0, 1),)),), bytes(controls), b"", b"x"), b"x"


def crumbled(_: bytes) -> tuple[Segment, bytes]:
    """A block of as many pieces as a segment can make."""
    return Segment((Zero(2),) * OPS), bytes(2 * OPS)


@pytest.mark.parametrize("made", [wide, long, behind, scattered, literal, controlled, crumbled])
def test_no_more_memory_than_the_header_declares(tmp_path: Path, made: Callable[[bytes], tuple[Segment, bytes]]) -> None:
    """Every limit is used up, and none is larger than what is used."""
    old = os.urandom(24 << 20)
    segment, new = made(old)
    entry, _ = pack(segment, level=3)
    deltas = [op for op in segment.ops if isinstance(op, Delta)]
    window, output = max((op.reads for op in deltas), default=0), max((op.length for op in deltas), default=0)
    limits = Limits(segment=entry.memory, frame=entry.frame, window=window, output=output, codecs=0, spool=0)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "patch").write_bytes(patch(old, new, [segment], limits=limits, block=1 << 18))
    command = (sys.executable, "-c", MEMORY, tmp_path / "patch", tmp_path / "old", tmp_path)
    subprocess.run(command, check=True, timeout=100)


def test_a_mounted_base_is_read_as_it_is_on_the_medium(tmp_path: Path) -> None:
    """ext4 changes the superblock of its journal in the page cache, also when it is mounted for reading only."""
    image, point = tmp_path / "slot", tmp_path / "mounted"
    need_root("losetup", "mkfs.ext4")
    run("mkfs.ext4", "-q", "-O", "has_journal,64bit,metadata_csum", image, "8M")
    whole = image.read_bytes()
    point.mkdir()
    with attached(image) as device, mounted("-o", "ro", device, at=point):
        assert Path(device).read_bytes() != whole
        with places.opened(Path(device), len(whole)) as old:
            for at, count in ((0, len(whole)), (5, 9), (4090, 3 << 20), (len(whole) - 1, 1), (1 << 20, 0)):
                assert old.read(at, count) == whole[at : at + count]
            with pytest.raises(Malformed):
                old.read(1, len(whole))
