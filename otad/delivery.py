"""Delivery: a release's payloads, from their encodings in the repository to where they belong. The Delivery port.

Rules:
 1. Which encoding is taken is decided once, when it is fetched: afterwards it is the one that lies in the cache.
 2. When an encoding fails, or the server does not have it as it was signed, the next one is tried, and what became of it is told;
    when the link fails, nothing else would do better. One that came and cannot be decoded here is Undecodable if there is
    another: who asks again with that in `attempt.failed` gets the next.
 3. The cache holds what one release needs, no more.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from otad import blocking
from otad.bootenv import Slot
from otad.encoding import Choice, Means, Source, choose
from otad.errors import Corrupt, NotServed, OtadError, Rejected, Undecodable, Who
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.formats.encodings import Encoding, Encodings
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed, PayloadHandler
from otad.ports import Fetched
from otad.statemachine import Attempt

log = logging.getLogger(__name__)
Watch = Callable[[str, int, int], None]
"""Called with (step, bytes done, bytes in all)."""


class CachedDelivery:
    """Delivery over the cache.

    encodings  gives the trusted Encodings document of (version, release SHA-256)
    means      what this device decodes with, now
    """

    def __init__(
        self,
        encodings: Callable[[str, str], Awaitable[Encodings]],
        cache: Cache,
        download: Download,
        means: Callable[[], Awaitable[Means]],
        handlers: Mapping[PayloadKind, PayloadHandler],
        watch: Watch,
    ) -> None:
        self._encodings = encodings
        self._cache = cache
        self._download = download
        self._means = means
        self._handlers = handlers
        self._watch = watch

    async def fetch(self, attempt: Attempt, release: Release) -> Fetched:
        """Every payload into the cache, each by the cheapest encoding that works here."""
        document = await self._document(attempt)
        wanted = [(payload, await self._choice(payload, document, attempt)) for payload in self._installable(release)]
        await asyncio.to_thread(self._cache.keep, {e.blob for _, choice in wanted for e in choice.usable})
        came = {payload.name: await self._fetch(payload, choice) for payload, choice in wanted}
        return Fetched(sum(got.moved for got in came.values()), {name: _way(got) for name, got in came.items()})

    async def prove(self, attempt: Attempt, release: Release, slot: Slot) -> None:
        """The blobs are what was signed and can be decoded here, and every handler would take its payload."""
        document = await self._document(attempt)
        for payload in self._installable(release):
            choice = await self._choice(payload, document, attempt)
            encoding = self._cached(payload, choice)
            await self._cache.verify(encoding.blob, encoding.length)
            with _decoding(encoding, choice):
                await self._decodes(source := await self._source(payload, encoding))
                await self._handlers[payload.kind].check(payload, source, slot)

    async def install(self, attempt: Attempt, release: Release, slot: Slot) -> tuple[Installed, ...]:
        """Every payload into place, in the order of the release."""
        document = await self._document(attempt)
        done = []
        for payload in self._installable(release):
            choice = await self._choice(payload, document, attempt)
            encoding = self._cached(payload, choice)
            watch = partial(self._watch, f"install {payload.name} for slot {slot.value}")
            with _decoding(encoding, choice):
                source = await self._source(payload, encoding)
                done.append(await self._handlers[payload.kind].install(payload, source, slot, watch))
        return tuple(done)

    def forget(self) -> None:
        """Empty the cache. What cannot be deleted is logged, and deleted the next time: no update fails for it."""
        try:
            self._cache.keep(())
        except OtadError as error:
            log.warning("the cache was not emptied: %s", error)

    async def _document(self, attempt: Attempt) -> Encodings:
        return await self._encodings(attempt.version, attempt.release)

    def _installable(self, release: Release) -> Iterator[Payload]:
        """The payloads. Raises Rejected for a kind that this otad does not know."""
        for payload in release.payloads:
            if payload.kind not in self._handlers:
                raise Rejected(
                    "payload-unknown",
                    f"{payload.name} of release {release.version} is of a kind that otad cannot install: {payload.kind.value}",
                    "Publish it for devices with a newer otad (min_version)",
                    who=Who.INTEGRATOR,
                )
            yield payload

    async def _choice(self, payload: Payload, document: Encodings, attempt: Attempt) -> Choice:
        """What this device can decode. Raises Rejected when there is nothing."""
        chosen = await blocking.run(choose, document.of.get(payload.sha256, ()), await self._means(), attempt.failed)
        if not chosen.usable:
            reasons = chosen.reasons() or "none was published"
            raise Rejected(
                "no-encoding",
                f"{payload.name} cannot be fetched in any of its encodings ({reasons})",
                "Publish it as zstd or plain too",
                who=Who.INTEGRATOR,
            )
        return chosen

    async def _fetch(self, payload: Payload, choice: Choice) -> _Got:
        failed: list[tuple[Encoding, OtadError]] = []
        came = 0
        for encoding in choice.usable:
            meter = _Meter(partial(self._watch, f"download {payload.name}"))
            try:
                await self._download.fetch(encoding, meter)
            except (Corrupt, NotServed) as error:
                log.warning("%s as %s: %s", payload.name, encoding.type, error)
                failed.append((encoding, error))
            else:
                refused = (*choice.refused, *((other, error.cause.what) for other, error in failed))
                return _Got(encoding, came + meter.came, replace(choice, refused=refused))
            came += meter.came
        raise failed[-1][1]  # _choice gives at least one

    async def _decodes(self, source: Source) -> None:
        """Raises Corrupt when it cannot be."""
        stop = threading.Event()
        await blocking.finish(blocking.start(_look, source, stop), stop)

    def _cached(self, payload: Payload, choice: Choice) -> Encoding:
        """The encoding that was fetched. Raises Corrupt when none of them is in the cache."""
        for encoding in choice.usable:
            if self._cache.has(encoding.blob, encoding.length):
                return encoding
        raise Corrupt(
            "cache-empty", f"{payload.name} is not in the cache any more", "Nothing to do: it is fetched again", who=Who.NOBODY
        )

    async def _source(self, payload: Payload, encoding: Encoding) -> Source:
        means = await self._means()
        base = means.bases.get(encoding.base or "")
        blob, decoder = self._cache.path(encoding.blob), means.decoders[encoding.type]
        memory, reserve = encoding.memory or means.memory, self._cache.room.reserve
        return Source(blob, decoder, payload.sha256, payload.length, base, memory, reserve)


@dataclass(frozen=True)
class _Got:
    """What came: in which encoding, how many bytes now, and of which choice; what failed on the way is refused there."""

    encoding: Encoding
    moved: int
    choice: Choice


def _look(source: Source, stop: threading.Event) -> None:
    for _ in source.check():
        if stop.is_set():
            raise blocking.Stopped


@contextmanager
def _decoding(encoding: Encoding, choice: Choice) -> Iterator[None]:
    """Corrupt is Undecodable, if there is another encoding."""
    try:
        yield
    except Corrupt as error:
        if any(other.blob != encoding.blob for other in choice.usable):
            raise Undecodable(error.cause, encoding.blob) from error
        raise


def _way(got: _Got) -> str:
    """How a payload came, and why not in fewer bytes."""
    refused = got.choice.reasons()
    return f"{got.encoding.type}, {got.encoding.length} bytes" + (f" (not {refused})" if refused else "")


class _Meter:
    """Counts the bytes that come now; what was here before the first call did not."""

    def __init__(self, watch: Callable[[int, int], None]) -> None:
        self.came = 0
        self._watch = watch
        self._at: int | None = None

    def __call__(self, done: int, of: int) -> None:
        self.came += max(0, done - self._at) if self._at is not None else 0
        self._at = done
        self._watch(done, of)
