"""Delivery: a release's payloads, from their encodings in the repository to where they belong. The Delivery port.

Rules:
 1. Which encoding is taken is decided once, when it is fetched: afterwards it is the one that lies in the cache.
 2. When an encoding fails, the next one is tried; when the link fails, nothing else would do better.
 3. The cache holds what one release needs, no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

from otad.bootenv import Slot
from otad.encoding import Decoder, Source, choose
from otad.errors import Corrupt, OtadError, Rejected, RetryLater, Who
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.formats.encodings import Encoding, Encodings
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed, PayloadHandler
from otad.statemachine import Attempt

log = logging.getLogger(__name__)
Watch = Callable[[str, int, int], None]
"""Called with (step, bytes done, bytes in all)."""


class CachedDelivery:
    """Delivery over the cache; `encodings` gives the trusted Encodings document of (version, release SHA-256)."""

    def __init__(
        self,
        encodings: Callable[[str, str], Awaitable[Encodings]],
        cache: Cache,
        download: Download,
        decoders: Mapping[str, Decoder],
        handlers: Mapping[PayloadKind, PayloadHandler],
        watch: Watch,
    ) -> None:
        self._encodings = encodings
        self._cache = cache
        self._download = download
        self._decoders = decoders
        self._handlers = handlers
        self._watch = watch

    async def fetch(self, attempt: Attempt, release: Release) -> int:
        """Every payload into the cache, each by the cheapest encoding that works here; bytes that came."""
        document = await self._document(attempt)
        wanted = [(payload, self._candidates(payload, document)) for payload in self._installable(release)]
        await asyncio.to_thread(self._cache.keep, {e.blob for _, encodings in wanted for e in encodings})
        return sum([await self._fetch(payload, encodings) for payload, encodings in wanted])

    async def prove(self, attempt: Attempt, release: Release, slot: Slot) -> None:
        """The blobs are what was signed, and every handler would take its payload."""
        document = await self._document(attempt)
        for payload in self._installable(release):
            encoding = self._cached(payload, document)
            await self._cache.verify(encoding.blob, encoding.length)
            await self._handlers[payload.kind].check(payload, self._source(payload, encoding), slot)

    async def install(self, attempt: Attempt, release: Release, slot: Slot) -> tuple[Installed, ...]:
        """Every payload into place, in the order of the release."""
        document = await self._document(attempt)
        done = []
        for payload in self._installable(release):
            source = self._source(payload, self._cached(payload, document))
            watch = partial(self._watch, f"install {payload.name} for slot {slot.value}")
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

    def _candidates(self, payload: Payload, document: Encodings) -> tuple[Encoding, ...]:
        """What this device can decode, cheapest first. Raises Rejected when there is nothing."""
        chosen = choose(document.of.get(payload.sha256, ()), self._decoders)
        for encoding, why in chosen.refused:
            log.info("%s is not fetched as %s (%d bytes): %s", payload.name, encoding.type, encoding.length, why)
        if not chosen.usable:
            reasons = "; ".join(f"{encoding.type}: {why}" for encoding, why in chosen.refused) or "none was published"
            raise Rejected(
                "no-encoding",
                f"{payload.name} cannot be fetched in any of its encodings ({reasons})",
                "Publish it as zstd or plain too",
                who=Who.INTEGRATOR,
            )
        return chosen.usable

    async def _fetch(self, payload: Payload, encodings: tuple[Encoding, ...]) -> int:
        failed: OtadError | None = None
        came = 0
        for encoding in encodings:
            meter = _Meter(partial(self._watch, f"download {payload.name}"))
            try:
                await self._download.fetch(encoding, meter)
            except RetryLater:
                raise
            except OtadError as error:
                log.warning("%s as %s: %s", payload.name, encoding.type, error)
                failed = error
            else:
                log.info("%s was fetched as %s, %d bytes", payload.name, encoding.type, encoding.length)
                return came + meter.came
            came += meter.came
        raise failed or LookupError(f"{payload.name} has no encoding")  # _candidates gives at least one

    def _cached(self, payload: Payload, document: Encodings) -> Encoding:
        """The encoding that was fetched. Raises Corrupt when none of them is in the cache."""
        for encoding in self._candidates(payload, document):
            if self._cache.has(encoding.blob, encoding.length):
                return encoding
        raise Corrupt(
            "cache-empty", f"{payload.name} is not in the cache any more", "Nothing to do: it is fetched again", who=Who.NOBODY
        )

    def _source(self, payload: Payload, encoding: Encoding) -> Source:
        return Source(self._cache.path(encoding.blob), self._decoders[encoding.type], payload.sha256, payload.length)


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
