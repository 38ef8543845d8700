"""One blob, from the repository into the cache, in spite of everything that can break on the way.

Rules:
 1. Hashed and written while it comes, in one thread beside the loop, never more than two buffers ahead of the disk.
 2. It goes on where the durable bytes end, in this process or the next, after an error, a cancellation or a power cut.
 3. Only what nobody has to repair is tried again here (see faults.py), within bounds (see retry.py).
 4. Room for the whole is asked for before the first byte.

One server and one stream today: a rate limit belongs into `_Transfer._append`, a choice of servers into `Download._try`, a
window into `held`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import aiohttp

from otad import blocking, config
from otad.errors import OtadError, RetryLater, Who
from otad.fetch import faults, ranges, retry
from otad.fetch.cache import Cache
from otad.fetch.partial import Partial
from otad.formats.encodings import Encoding

_BUFFER = 2**20  # bytes handed to the thread at once

Progress = Callable[[int, int], None]


def _never() -> bool:
    return False


class Download:
    """Fetches blobs from the repository at `base` through `session` into `cache`."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, cache: Cache, settings: config.Download, rng: random.Random
    ) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._cache = cache
        self._settings = settings
        self._rng = rng

    async def fetch(self, encoding: Encoding, progress: Progress, held: Callable[[], bool] = _never) -> Path:
        """The blob of `encoding`, complete and proved.

        Args:
            encoding: names the blob and its length.
            progress: called on the loop with (bytes here, bytes in all) whenever some came; goes back when it begins anew.
            held: asked just as often; True stops the download, and keeps what came.

        Raises:
            RetryLater: the network, the server or the disk; "held".
            NotServed: the server does not have it, or has less than was signed.
            Corrupt: the server's file is longer than what was signed, or all of it came and is another; it was dropped.
            asyncio.CancelledError: what came is kept, and no thread is left behind.
        """
        if self._cache.has(encoding.blob, encoding.length):
            progress(encoding.length, encoding.length)
            return self._cache.path(encoding.blob)
        partial = self._cache.partial(encoding.blob, encoding.length)
        transfer = _Transfer(f"{self._base}/blobs/{encoding.blob}", partial, progress, held)
        try:
            await blocking.finish(blocking.start(partial.open), partial.stop)
            self._cache.room.check(partial.length - partial.offset)
            await self._complete(partial, transfer)
            return await blocking.run(partial.publish)
        except (RetryLater, asyncio.CancelledError):
            with contextlib.suppress(OtadError):  # what cannot be noted now is fetched again
                await blocking.run(partial.sync)
            raise
        finally:
            partial.close()

    async def _complete(self, partial: Partial, transfer: _Transfer) -> None:
        """Try until every byte is here."""
        best, failures = partial.offset, 0
        while partial.offset < partial.length:
            fault = await self._try(transfer)
            if fault is None:
                continue
            failures = 1 if partial.offset > best else failures + 1
            best = max(best, partial.offset)
            wait = retry.delay(failures, self._settings, fault.retry_after, self._rng.random())
            if fault.cause.who is not Who.NOBODY or wait is None:
                raise fault
            await asyncio.sleep(wait)

    async def _try(self, transfer: _Transfer) -> RetryLater | None:
        """One request, and as much of its body as comes; None when that was everything."""
        want = transfer.want()
        try:
            async with self._session.get(want.url, headers=want.headers()) as response:
                await transfer.receive(want, response)
        except RetryLater as fault:
            return fault
        except faults.NETWORK as error:
            return faults.explain(error, want.url)
        return None


class _Transfer:
    """The way of the bytes from an answer into the partial blob."""

    def __init__(self, url: str, partial: Partial, progress: Progress, held: Callable[[], bool]) -> None:
        self._url = url
        self._partial = partial
        self._progress = progress
        self._held = held
        self._pieces: list[bytes] = []  # came, and not handed over yet
        self._waiting = 0  # bytes of them
        self._job: asyncio.Future[None] | None = None  # writes what was handed over

    def want(self) -> ranges.Want:
        """What is still missing."""
        return ranges.Want(self._url, self._partial.length, self._partial.offset, self._partial.etag)

    async def receive(self, want: ranges.Want, response: aiohttp.ClientResponse) -> None:
        """Append the body, or begin anew with it. Raises as `Download.fetch`, and what aiohttp raises."""
        start = want.start(response.status, response.headers)
        etag = ranges.strong_etag(response.headers)
        if start != want.offset:
            await blocking.run(self._partial.restart)
        if start is None:
            raise RetryLater("blob-changed", f"{want.url} is not the file that was begun, so it is fetched from the start")
        if start == 0:
            self._partial.etag = etag
        try:
            await self._append(want, start, response.content)
        finally:  # a broken connection too leaves bytes that need not come again
            await self._hand_over()
            await self._settle()
        if self._partial.offset < want.length:
            raise RetryLater("body-truncated", f"{want.url} ended at byte {self._partial.offset} of {want.length}")

    async def _append(self, want: ranges.Want, at: int, content: aiohttp.StreamReader) -> None:
        self._progress(at, want.length)
        async for piece in content.iter_any():
            at += len(piece)
            if at > want.length:
                raise want.oversize(f"at least {at}")
            self._pieces.append(piece)
            self._waiting += len(piece)
            if self._waiting >= _BUFFER:
                await self._hand_over()
            self._progress(at, want.length)
            if self._held():
                raise _held(want, at)

    async def _hand_over(self) -> None:
        """Give the pieces to the thread, once it is done with those before. If those failed, these are lost with them."""
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        await self._settle()
        self._job = blocking.start(self._partial.write, pieces)

    async def _settle(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            await blocking.finish(job)


def _held(want: ranges.Want, at: int) -> RetryLater:
    return RetryLater(
        "held",
        f"the download is held at {at} of {want.length} bytes",
        "It goes on from there when the pause or the window ends (otactl resume)",
        who=Who.FIELD,
        evidence={"url": want.url},
    )
