"""The decoder against what the zstd library makes, and against every way in which a frame can be wrong."""

from __future__ import annotations

import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otad.encoding.zstd import DECODER, WINDOW
from otad.errors import Corrupt
from otad.formats.encodings import Encoding
from tests.encoding.conftest import IMAGE, compress, put, source


def decode(blob: Path) -> bytes:
    return b"".join(source(blob, "zstd").stream())


def why(folder: Path, data: bytes) -> str:
    with pytest.raises(Corrupt) as caught:
        decode(put(folder, data))
    assert caught.value.cause.code == "blob-undecodable"
    assert put(folder, data).name in caught.value.cause.what
    return caught.value.cause.evidence["zstd"]


@pytest.mark.parametrize("checksum", [True, False])
def test_it_decodes(tmp_path: Path, checksum: bool) -> None:
    pieces = list(source(put(tmp_path, compress(IMAGE, checksum=checksum)), "zstd").stream())
    assert b"".join(pieces) == IMAGE
    assert max(map(len, pieces)) <= 2**20


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    parts=st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 20_000)), max_size=8), level=st.integers(-3, 12)
)
def test_it_decodes_whatever_zstd_makes(tmp_path: Path, parts: list[tuple[bytes, int]], level: int) -> None:
    data = b"".join(part * times for part, times in parts)
    assert decode(put(tmp_path, zstandard.ZstdCompressor(level=level).compress(data))) == data


@pytest.mark.parametrize("options", [["-1"], ["-19", "-T2"], ["-3", "--long=25"], ["-3", "--no-check"]])
def test_it_decodes_what_the_zstd_tool_makes(tmp_path: Path, options: list[str]) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    plain = tmp_path / "image"
    plain.write_bytes(IMAGE)
    subprocess.run(["zstd", "-q", *options, str(plain)], check=True)
    assert decode(tmp_path / "image.zst") == IMAGE


def test_a_few_bytes_that_stand_for_gigabytes_take_no_more_memory(tmp_path: Path) -> None:
    blob = put(tmp_path, compress(bytes(200_000_000)))
    assert blob.stat().st_size < 20_000
    tracemalloc.start()
    try:
        assert sum(map(len, source(blob, "zstd").stream())) == 200_000_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("missing", [1, 3, 4, 5, 100, 200_000])
def test_a_frame_that_ends_early(tmp_path: Path, compressed: bytes, missing: int) -> None:
    assert why(tmp_path, compressed[:-missing]) == "it ends before its frame does"


@pytest.mark.parametrize("rest", [b"!", bytes(1000)])
def test_bytes_after_the_frame(tmp_path: Path, compressed: bytes, rest: bytes) -> None:
    assert why(tmp_path, compressed + rest) == "bytes follow the end of its frame"


def test_a_second_frame_is_not_followed(tmp_path: Path, compressed: bytes) -> None:
    assert why(tmp_path, compressed + compressed) == "bytes follow the end of its frame"


def test_the_largest_window_is_decoded(tmp_path: Path) -> None:
    assert decode(put(tmp_path, compress(IMAGE, window_log=25))) == IMAGE
    assert WINDOW == 2**25


def test_a_larger_window_is_refused(tmp_path: Path) -> None:
    assert "memory" in why(tmp_path, compress(IMAGE, window_log=26))


@pytest.mark.parametrize("data", [b"", b"\x28", b"plain text, and no frame at all", bytes(100)])
def test_what_is_no_frame(tmp_path: Path, data: bytes) -> None:
    assert why(tmp_path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_never_passes(tmp_path: Path, compressed: bytes, at: int, bit: int) -> None:
    at %= len(compressed)
    damaged = compressed[:at] + bytes([compressed[at] ^ 1 << bit]) + compressed[at + 1 :]
    try:
        found = decode(put(tmp_path, damaged))
    except Corrupt:
        return
    assert found == IMAGE  # a bit of the header that says nothing about the content


def test_what_it_refuses() -> None:
    encoding = Encoding(type="zstd", blob="0" * 64, length=1)
    assert DECODER.refuses(encoding, None) is None
    assert "dictionary" in str(DECODER.refuses(encoding.model_copy(update={"needs": ("dictionary",)}), None))
