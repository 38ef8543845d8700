"""`Fetch` over an aiohttp session: small files, capped in bytes and in time.

Rules:
 1. No more than the cap is ever held, whatever Content-Length said.
 2. A file that does not come whole within `total` seconds is given up, however steadily it drips (slow data).
 3. The session decides about TLS, redirects and silence (`otad.fetch.session`); `otad.fetch.faults` says what went wrong.
"""

from __future__ import annotations

import asyncio

import aiohttp

from otad.errors import Rejected, RetryLater, Who
from otad.fetch import faults
from otad.trust import NotFound

TOTAL = 300.0  # seconds: the largest file there is, 2 MiB, at 56 kbit/s
_REDIRECTS = 3
_CHUNK = 2**14
_ABSENT = (403, 404, 410)


class HttpFetch:
    """Fetches below `base` (a URL ending in a slash) with `session`, which stays the caller's to close."""

    def __init__(self, session: aiohttp.ClientSession, base: str, *, total: float = TOTAL) -> None:
        self._session = session
        self._base = base.rstrip("/") + "/"
        self._total = total

    @property
    def base(self) -> str:
        """See Fetch."""
        return self._base

    async def get(self, path: str, limit: int, *, fresh: bool = False) -> bytes:
        """See Fetch. Slow data is RetryLater("slow-data"); Retry-After comes in `retry_after`."""
        url = self._base + path
        try:
            return await asyncio.wait_for(self._explained(url, limit, fresh=fresh), self._total)
        except asyncio.TimeoutError as error:  # the session's own time-outs are explained inside
            raise _slow(url, self._total) from error

    async def _explained(self, url: str, limit: int, *, fresh: bool) -> bytes:
        try:
            return await self._get(url, limit, fresh=fresh)
        except faults.NETWORK as error:
            raise faults.explain(error, url) from error

    async def _get(self, url: str, limit: int, *, fresh: bool) -> bytes:
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        async with self._session.get(url, headers=headers, max_redirects=_REDIRECTS) as answer:
            if answer.status in _ABSENT:
                raise _not_found(answer)
            if answer.status != 200:  # noqa: PLR2004
                raise faults.refuse(answer.status, answer.headers, url)
            data = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                data += chunk
                if len(data) > limit:
                    raise _endless(url, limit)
            return bytes(data)


def _slow(url: str, total: float) -> RetryLater:
    return RetryLater(
        "slow-data",
        f"{url} did not come whole within {total:g} s",
        "It is tried again by itself. If the link is good, the server is overloaded, or holds devices up (slow data attack)",
        evidence={"url": url},
    )


def _not_found(answer: aiohttp.ClientResponse) -> NotFound:
    cause = faults.refuse(answer.status, answer.headers, str(answer.url)).cause
    return NotFound(cause.code, cause.what, cause.remedy, who=cause.who, evidence=cause.evidence)


def _endless(url: str, limit: int) -> Rejected:
    return Rejected(
        "endless-data",
        f"{url} is longer than the {limit} bytes that it may have; the rest was not read",
        "Look at what that address gives: another file, or a server that never ends (endless data attack)",
        who=Who.INTEGRATOR,
        evidence={"url": url, "limit": str(limit)},
    )
