from __future__ import annotations

import os
from pathlib import Path

import pytest

from otad.errors import Corrupt, RetryLater
from otad.fetch.cache import Cache
from tests.fetch.conftest import blob, encoding_of

DATA = blob(3_000_000)
SHA = encoding_of(DATA).blob


def put(cache: Cache, name: str, data: bytes = b"x") -> Path:
    path = cache.path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def test_an_empty_cache(cache: Cache) -> None:
    assert cache.size() == 0
    assert not cache.has(SHA, 1)
    cache.keep({SHA})


def test_keep_drops_everything_else(cache: Cache) -> None:
    for name in (SHA, "1" * 64, "1" * 64 + ".part", "1" * 64 + ".ledger", "2" * 64 + ".part", "stray"):
        put(cache, name)
    (cache.path("x").parent / "lost+found").mkdir()
    cache.keep({SHA, "2" * 64})
    assert {file.name for file in cache.path("x").parent.iterdir()} == {SHA, "2" * 64 + ".part", "lost+found"}
    assert cache.size() == 2


async def test_verify_reads_it_again(cache: Cache) -> None:
    put(cache, SHA, DATA)
    await cache.verify(SHA, len(DATA))
    assert cache.has(SHA, len(DATA))


@pytest.mark.parametrize("damaged", [DATA[:-1], DATA + b"!", DATA[:-1] + bytes([DATA[-1] ^ 1]), b"", None])
async def test_verify_drops_what_is_not_right(cache: Cache, damaged: bytes | None) -> None:
    if damaged is not None:
        put(cache, SHA, damaged)
    with pytest.raises(Corrupt) as caught:
        await cache.verify(SHA, len(DATA))
    assert SHA in caught.value.cause.what
    assert not cache.path(SHA).exists()


def test_a_folder_that_is_a_file_is_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "updates").write_text("")
    with pytest.raises(RetryLater) as caught:
        Cache(tmp_path / "updates", 0).partial(SHA, 1).open()
    assert caught.value.cause.code == "cache-unusable"
    assert str(tmp_path / "updates") in caught.value.cause.what


def test_a_link_in_place_of_a_part_is_not_followed(cache: Cache, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    cache.path("x").parent.mkdir()
    cache.path(f"{SHA}.part").symlink_to(victim)
    with pytest.raises(RetryLater):
        cache.partial(SHA, 1).open()
    assert victim.read_text() == "precious"


def test_the_reserve_stays_free(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    free = found.f_bavail * found.f_frsize
    cache = Cache(tmp_path, free // 2)
    cache.room.check(1)
    with pytest.raises(RetryLater) as caught:
        cache.room.check(free - free // 4)
    assert caught.value.cause.code == "disk-full"
    assert caught.value.cause.evidence["reserve"] == str(free // 2)
