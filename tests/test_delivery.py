"""What delivery does with a cache that fails it, and with encodings that do."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, cast

import pytest

from otad.bootenv import Slot
from otad.delivery import CachedDelivery
from otad.encoding import Means, Source, decoders
from otad.errors import Corrupt, NotServed, OtadError, RetryLater
from otad.fetch.cache import Cache
from otad.formats.encodings import Encoding, Encodings
from otad.formats.release import Payload, PayloadKind, Release
from otad.ports import Fetched
from otad.statemachine import Attempt, Kind

SYSTEM = Payload(kind=PayloadKind.SYSTEM, name="system", sha256="a" * 64, length=9, disk=9)
RELEASE = Release(product="camera", version="1.0.0", hardware=("rev1",), payloads=(SYSTEM,))
ATTEMPT = Attempt("01", Kind.UPDATE, "c", "b" * 64, "1.0.0", Slot.A)
SMALL, LARGE = (Encoding(type="zstd", blob=digit * 64, length=length) for digit, length in (("1", 3), ("2", 5)))


def delivery(cache: Cache) -> CachedDelivery:
    unused = cast("Any", None)
    return CachedDelivery(unused, cache, unused, unused, {}, unused)


class Server:
    """Has what it was not told to fail: a Download."""

    def __init__(self, *failing: OtadError) -> None:
        self.asked: list[Encoding] = []
        self._failing = list(failing)

    async def fetch(self, encoding: Encoding, progress: Any) -> None:
        self.asked.append(encoding)
        progress(0, encoding.length)
        if self._failing:
            raise self._failing.pop(0)
        progress(encoding.length, encoding.length)


async def fetched(server: Server, cache: Cache) -> Fetched:
    async def document(*_: str) -> Encodings:
        return Encodings(release="b" * 64, of={SYSTEM.sha256: (SMALL, LARGE)})

    async def means() -> Means:
        return Means(decoders())

    unused = cast("Any", None)
    given = CachedDelivery(document, cache, cast("Any", server), means, {PayloadKind.SYSTEM: unused}, lambda *_: None)
    return await given.fetch(ATTEMPT, RELEASE)


async def test_who_declares_no_memory_may_take_what_the_device_allows(tmp_path: Path) -> None:
    """An encoding's `memory` is 0 where nobody wrote one: no licence for more."""
    cache, taken = Cache(tmp_path, 5), []
    encoding = SMALL.model_copy(update={"blob": hashlib.sha256(b"xyz").hexdigest()})
    cache.path(encoding.blob).write_bytes(b"xyz")

    async def document(*_: str) -> Encodings:
        return Encodings(release="b" * 64, of={SYSTEM.sha256: (encoding,)})

    async def means() -> Means:
        return Means(decoders(), memory=1 << 20)

    class Handler:
        async def check(self, _payload: Payload, source: Source, _target: Slot) -> None:
            taken.append(source)

    unused = cast("Any", None)
    given = CachedDelivery(document, cache, unused, means, {PayloadKind.SYSTEM: cast("Any", Handler())}, unused)
    await given.prove(ATTEMPT, RELEASE, Slot.B)
    assert [(source.memory, source.reserve) for source in taken] == [(1 << 20, 5)]


def test_forgetting_empties_the_cache(tmp_path: Path) -> None:
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / ("1" * 64)).write_bytes(b"x")
    delivery(Cache(tmp_path / "updates", 0)).forget()
    assert not list((tmp_path / "updates").iterdir())


def test_a_cache_that_cannot_be_emptied_is_logged_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = tmp_path / "updates"
    updates.mkdir()
    (updates / ("1" * 64)).write_bytes(b"x")

    def fails(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(updates))

    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(Path, "unlink", fails)
        delivery(Cache(updates, 0)).forget()
    assert "Read-only file system" in caplog.text
    delivery(Cache(updates, 0)).forget()  # the next time
    assert not list(updates.iterdir())


@pytest.mark.parametrize("kind", [NotServed, Corrupt])
async def test_a_blob_that_the_server_has_not_as_it_was_signed_leads_to_the_next_and_is_told(
    tmp_path: Path, kind: type[OtadError]
) -> None:
    server = Server(kind("x", "the server does not have it"))
    got = await fetched(server, Cache(tmp_path, 0))
    assert server.asked == [SMALL, LARGE]
    assert got == Fetched(5, {"system": "zstd, 5 bytes (not zstd (3 bytes): the server does not have it)"})


async def test_the_last_failure_is_that_of_the_payload(tmp_path: Path) -> None:
    first, last = NotServed("not-found", "gone"), NotServed("blob-incomplete", "too short")
    with pytest.raises(NotServed) as caught:
        await fetched(Server(first, last), Cache(tmp_path, 0))
    assert caught.value is last


async def test_a_link_that_fails_leads_to_nothing_else(tmp_path: Path) -> None:
    server = Server(RetryLater("timeout", "no answer"))
    with pytest.raises(RetryLater):
        await fetched(server, Cache(tmp_path, 0))
    assert server.asked == [SMALL]
