"""Downloads in spite of servers, links, cancellations and disks. The link is loopback; the server is nginx or a hostile one."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from pathlib import Path

import pytest

from otad import config
from otad.errors import Corrupt, RetryLater, Who
from otad.fetch import partial
from otad.fetch.cache import Cache
from otad.fetch.ranges import Ledger
from tests.fetch.conftest import SETTINGS, Seen, blob, downloading, encoding_of
from tests.support import certs, nginx
from tests.support.hostile import Hostile

DATA = blob(3_000_000)
ENCODING = encoding_of(DATA)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "CHUNK", 500_000)


def left_behind(cache: Cache) -> set[str]:
    return {file.name.partition(".")[2] for file in cache.path("x").parent.iterdir()}


def claimed(cache: Cache) -> Ledger:
    found = Ledger.decode(cache.path(f"{ENCODING.blob}.ledger").read_bytes())
    assert found is not None
    return found


def cancel_this_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def fetch(hostile: Hostile, cache: Cache, settings: config.Download = SETTINGS) -> Path:
    async with hostile.running(), downloading(hostile.url, cache, settings=settings) as download:
        return await download.fetch(ENCODING, Seen())


async def interrupt(hostile: Hostile, cache: Cache, at: int) -> None:
    """Fetch, and cancel it once `at` bytes came."""
    async with hostile.running(), downloading(hostile.url, cache) as download:
        seen = Seen(at, cancel_this_task)
        task = asyncio.create_task(download.fetch(ENCODING, seen))
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_from_nginx_over_tls(server: nginx.Nginx, authority: certs.Authority, cache: Cache) -> None:
    (server.root / "blobs" / ENCODING.blob).write_bytes(DATA)
    seen = Seen()
    async with downloading(server.url, cache, ca=authority.file) as download:
        assert (await download.fetch(ENCODING, seen)).read_bytes() == DATA
    assert seen.calls[0] == (0, len(DATA))
    assert seen.calls[-1] == (len(DATA), len(DATA))
    assert seen.calls == sorted(seen.calls)
    assert left_behind(cache) == {""}


async def test_nginx_resumes_with_if_range(server: nginx.Nginx, authority: certs.Authority, cache: Cache) -> None:
    data = blob(20_000_000, seed=2)
    encoding = encoding_of(data)
    (server.root / "blobs" / encoding.blob).write_bytes(data)
    async with downloading(server.url, cache, ca=authority.file) as download:
        seen = Seen(8_000_000, cancel_this_task)
        task = asyncio.create_task(download.fetch(encoding, seen))
        with pytest.raises(asyncio.CancelledError):
            await task
        again = Seen()
        assert (await download.fetch(encoding, again)).read_bytes() == data
    assert again.calls[0][0] >= 8_000_000
    lines = [line for line in (server.work / "access.log").read_text().splitlines() if encoding.blob in line]
    assert any('" 206 ' in line for line in lines)  # nginx writes the line of a request that was cut off when it notices


async def test_what_is_there_is_not_fetched_again(cache: Cache) -> None:
    hostile = Hostile(DATA)
    await fetch(hostile, cache)
    seen = Seen()
    async with hostile.running(), downloading(hostile.url, cache) as download:
        await download.fetch(ENCODING, seen)
    assert len(hostile.asked) == 1
    assert seen.calls == [(len(DATA), len(DATA))]


async def test_a_link_that_breaks_every_64_kib_but_moves_on(cache: Cache) -> None:
    hostile = Hostile(DATA, cut=2**16)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    begins = hostile.begins()
    assert len(begins) > SETTINGS.retries
    assert begins == sorted(set(begins)), "each request went on from where the last one broke"
    assert hostile.asked[1]["If-Range"] == '"one"'


async def test_a_server_that_ignores_range_begins_anew(cache: Cache) -> None:
    await interrupt(Hostile(DATA), cache, 1_000_000)
    hostile = Hostile(DATA, ranges=False)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins()[0] >= 1_000_000
    assert len(hostile.asked) == 1


async def test_a_server_that_ignores_range_and_breaks_is_given_up(cache: Cache) -> None:
    hostile = Hostile(DATA, ranges=False, cut=100_000)
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == "connection-lost"
    assert len(hostile.asked) == SETTINGS.retries


async def test_another_file_under_the_same_name_is_fetched_from_the_start(cache: Cache) -> None:
    await interrupt(Hostile(blob(len(DATA), seed=9)), cache, 1_000_000)
    hostile = Hostile(DATA, etags=deque(['"two"']))
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins()[0] >= 1_000_000


async def test_an_etag_that_changes_half_way(cache: Cache) -> None:
    hostile = Hostile(DATA, cut=1_000_000, etags=deque(['"one"', '"two"', '"two"', '"two"']))
    assert (await fetch(hostile, cache)).read_bytes() == DATA


async def test_without_an_etag_the_hash_decides(cache: Cache) -> None:
    hostile = Hostile(DATA, cut=1_000_000, etags=deque([""]))
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert "If-Range" not in hostile.asked[1]


async def test_what_the_server_no_longer_has_begins_anew(cache: Cache) -> None:
    await interrupt(Hostile(DATA), cache, 1_000_000)
    hostile = Hostile(DATA, refusals=deque([(416, {})]))
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins()[1] == 0


async def test_a_busy_server_is_asked_again(cache: Cache) -> None:
    hostile = Hostile(DATA, refusals=deque([(503, {"Retry-After": "0"}), (502, {}), (429, {})]))
    assert (await fetch(hostile, cache)).read_bytes() == DATA


async def test_a_server_that_stays_busy_is_given_up(cache: Cache) -> None:
    hostile = Hostile(DATA, refusals=deque([(503, {})] * 9))
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == "server-busy"
    assert len(hostile.asked) == SETTINGS.retries


async def test_a_long_retry_after_is_left_to_the_caller(cache: Cache) -> None:
    hostile = Hostile(DATA, refusals=deque([(503, {"Retry-After": "86400"})]))
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.retry_after == 86400
    assert len(hostile.asked) == 1


@pytest.mark.parametrize(("status", "code"), [(404, "not-found"), (403, "forbidden")])
async def test_what_somebody_must_repair_is_not_tried_again(cache: Cache, status: int, code: str) -> None:
    hostile = Hostile(DATA, refusals=deque([(status, {})]))
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == code
    assert caught.value.cause.who is Who.INTEGRATOR
    assert f"{hostile.url}/blobs/{ENCODING.blob}" in caught.value.cause.what
    assert len(hostile.asked) == 1


async def test_an_absent_server(cache: Cache) -> None:
    async with Hostile(DATA).running() as gone:
        url = gone.url
    async with downloading(url, cache) as download:
        with pytest.raises(RetryLater) as caught:
            await download.fetch(ENCODING, Seen())
    assert caught.value.cause.code == "connection-refused"


async def test_an_endless_body_is_cut_off(cache: Cache) -> None:
    with pytest.raises(Corrupt) as caught:
        await fetch(Hostile(DATA, endless=True), cache)
    assert caught.value.cause.code == "blob-oversize"
    assert cache.size() <= len(DATA) + 1000


async def test_one_byte_too_many_is_refused(cache: Cache) -> None:
    with pytest.raises(Corrupt):
        await fetch(Hostile(DATA, extra=b"!"), cache)
    assert not cache.has(ENCODING.blob, ENCODING.length)


async def test_a_longer_file_is_refused_before_it_is_fetched(cache: Cache) -> None:
    with pytest.raises(Corrupt) as caught:
        await fetch(Hostile(DATA + b"!"), cache)
    assert caught.value.cause.evidence["offered"] == str(len(DATA) + 1)
    assert cache.size() == 0


async def test_a_shorter_file_is_not_fetched_again_and_again(cache: Cache) -> None:
    hostile = Hostile(DATA[:-1])
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == "blob-incomplete"
    assert len(hostile.asked) == 1


async def test_wrong_bytes_are_dropped(cache: Cache) -> None:
    wrong = bytearray(DATA)
    wrong[1_234_567] ^= 1
    with pytest.raises(Corrupt) as caught:
        await fetch(Hostile(bytes(wrong)), cache)
    assert caught.value.cause.evidence["expected"] == ENCODING.blob
    assert left_behind(cache) == set()


async def test_a_server_that_compresses_on_the_way_is_named(cache: Cache) -> None:
    hostile = Hostile(DATA, headers={"Content-Encoding": "gzip"})
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == "server-recodes"


async def test_held_keeps_what_came(cache: Cache) -> None:
    hostile = Hostile(DATA)
    seen = Seen()
    async with hostile.running(), downloading(hostile.url, cache) as download:
        with pytest.raises(RetryLater) as caught:
            await download.fetch(ENCODING, seen, held=lambda: seen.calls[-1][0] > 1_000_000)
        assert caught.value.cause.code == "held"
        assert claimed(cache).offset > 1_000_000
        assert (await download.fetch(ENCODING, Seen())).read_bytes() == DATA
    assert hostile.begins()[1] > 1_000_000


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("at", [0, 1, 700_000, 1_700_000, 2_999_999, 3_000_000])
async def test_cancelled_anywhere_it_goes_on_from_there(cache: Cache, at: int) -> None:
    await interrupt(Hostile(DATA), cache, at)
    hostile = Hostile(DATA)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert all(begin >= at - 2**20 for begin in hostile.begins()), "one buffer at most is fetched again"
    assert left_behind(cache) == {""}


async def test_bytes_beyond_the_claim_are_not_believed(cache: Cache) -> None:
    """After a power cut, what was not fsynced may read as zeros."""
    await interrupt(Hostile(DATA), cache, 1_000_000)
    offset = claimed(cache).offset
    with cache.path(f"{ENCODING.blob}.part").open("r+b") as part:
        part.seek(offset)
        part.write(bytes(500_000))
    hostile = Hostile(DATA)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins() == [offset]


@pytest.mark.parametrize("damage", ["rot", "short", "gone", "ledger", "boast"])
async def test_a_claim_that_does_not_hold_is_not_believed(cache: Cache, damage: str) -> None:
    await interrupt(Hostile(DATA), cache, 1_000_000)
    part, ledger = cache.path(f"{ENCODING.blob}.part"), cache.path(f"{ENCODING.blob}.ledger")
    if damage == "rot":
        with part.open("r+b") as file:
            file.seek(12345)
            file.write(bytes([DATA[12345] ^ 1]))
    elif damage == "short":
        os.truncate(part, claimed(cache).offset - 1)
    elif damage == "gone":
        part.unlink()
    elif damage == "ledger":
        ledger.write_bytes(bytes(100))
    else:
        ledger.write_bytes(Ledger(len(DATA) + 1, claimed(cache).sha256, None).encode())
    hostile = Hostile(DATA)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins() == [0]


async def test_everything_came_but_the_name_was_not_given(cache: Cache) -> None:
    """A cut between the last ledger and the rename: nothing is fetched again."""
    going = cache.partial(ENCODING.blob, ENCODING.length)
    going.open()
    going.write([DATA])
    going.sync()
    going.close()
    async with downloading("http://127.0.0.1:1", cache) as download:
        assert (await download.fetch(ENCODING, Seen())).read_bytes() == DATA


async def test_a_full_disk_is_told_before_it_starts(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    cache = Cache(tmp_path / "updates", disk.f_blocks * disk.f_frsize)  # what is free now, others may add to
    hostile = Hostile(DATA)
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    cause = caught.value.cause
    assert (cause.code, cause.who) == ("disk-full", Who.FIELD)
    assert str(tmp_path / "updates") in cause.what
    assert cause.evidence["needed"] == str(len(DATA))
    assert hostile.asked == []


@pytest.mark.usefixtures("small_chunks")
async def test_a_disk_that_fills_up_half_way(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def full(fd: int, data: memoryview, at: int) -> int:
        if at > 1_500_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data[: len(data) // 2 + 1], at)  # short writes, as the kernel may

    monkeypatch.setattr(os, "pwrite", full)
    hostile = Hostile(DATA)
    with pytest.raises(RetryLater) as caught:
        await fetch(hostile, cache)
    assert caught.value.cause.code == "disk-full"
    assert len(hostile.asked) == 1
    monkeypatch.setattr(os, "pwrite", real)
    assert (await fetch(hostile, cache)).read_bytes() == DATA
    assert hostile.begins()[1] >= 500_000


async def test_the_claim_follows_the_data_to_the_disk(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment the ledger claims no byte that was not fsynced before."""
    monkeypatch.setattr(partial, "CHUNK", 200_000)
    durable = [0]
    real_sync, real_replace = os.fdatasync, Path.replace

    def sync(fd: int) -> None:
        real_sync(fd)
        durable[0] = os.fstat(fd).st_size

    def replace(path: Path, target: Path) -> Path:
        if path.name.endswith(".ledger.new"):
            found = Ledger.decode(path.read_bytes())
            assert found is not None
            assert 0 < found.offset <= durable[0]
            claims.append(found.offset)
        return real_replace(path, target)

    claims: list[int] = []
    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    await fetch(Hostile(DATA), cache)
    assert len(claims) > 1
