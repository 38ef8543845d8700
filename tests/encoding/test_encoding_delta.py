"""What a device says of a delta that it cannot use, and that nothing of it leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otad.delta import places
from otad.delta.codecs import with_proof
from otad.delta.faults import Malformed
from otad.encoding import Base, Means, Source, choose
from otad.encoding.delta import DECODER, Delta
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


def test_a_compressor_is_proved_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Base(PAYLOAD, tmp_path)
    good = ENCODING.model_copy(update={"needs": ("xz", with_proof("gzip -n -6"))})
    assert Delta().refuses(good, base) is None
    wrong = ENCODING.model_copy(update={"needs": ("gzip -n -6#0123456789abcdef",)})
    assert Delta().refuses(wrong, base) == "'gzip -n -6' makes other bytes here than where the patch was made"
    assert (
        Delta().refuses(ENCODING.model_copy(update={"needs": ("brotli -9#00",)}), base)
        == "this otad knows no compressor 'brotli -9'"
    )
    never = ENCODING.model_copy(update={"needs": ("xz --check=none --lzma2=preset=6,dict=1KiB#00",)})
    assert str(Delta().refuses(never, base)).startswith("xz cannot compress with a dictionary of 1 KiB: ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gzip cannot be started" in str(Delta().refuses(good, base))


def test_a_compressor_that_went_away_is_told_by_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = patch(OLD, NEW, [Maker(OLD).raw(NEW).segment()], pack_=[with_proof("gzip -n -6")])
    source = replace(given(tmp_path, made), decoder=Delta())
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


def held(what):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(what + ":")[2].split()[0]) << 10


Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
before = held("VmRSS")
with open(sys.argv[1], "rb") as file, open(sys.argv[2], "rb") as old:
    patch = Patch.opened(file)
    image = Image(old, patch.header.source.length)
    list(check(patch, image))
    for _ in apply(patch, image, sys.argv[3]):
        pass
took = held("VmHWM") - before
assert patch.header.limits.window < took <= patch.header.memory, (took, patch.header.memory)
"""


def test_no_more_memory_than_the_header_declares(tmp_path: Path) -> None:
    """Every limit is used up: the largest window, output and streams of incompressible bytes."""
    old = os.urandom(8 << 20)
    new = bytes(4 << 20) + old[: 4 << 20] + os.urandom(8 << 20)
    maker = Maker(old).zero(4 << 20).same(4 << 20).raw(new[8 << 20 :])
    limits = LIMITS.model_copy(update={"segment": (8 << 20) + (4 << 20) + 1000, "window": 8 << 20, "output": 4 << 20})
    made = patch(old, new, [maker.segment()], limits=limits)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "patch").write_bytes(made)
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
        with places.image(Path(device), len(whole)) as old:
            for at, count in ((0, len(whole)), (5, 9), (4090, 3 << 20), (len(whole) - 1, 1), (1 << 20, 0)):
                assert old.read(at, count) == whole[at : at + count]
            with pytest.raises(Malformed):
                old.read(1, len(whole))
