"""The HTTP sink: events as a POST of JSON.

    {"schema": 1, "device": "...", "lost": 0, "events": [{...}, ...]}

Rules:
 1. Any 2xx: the server has them, for good. It knows repetitions by the events' ids; `lost` belongs to the first event.
 2. 400, 413, 422: it will not take this body (RFC 9110), so Rejected. All else may pass, so RetryLater with its Retry-After;
    401, 403 and 404 too: a server that is wrongly set up must not cost a fleet its reports.
 3. Redirects are not followed: a POST would turn into a GET.
"""

from __future__ import annotations

import json

import aiohttp

from otad.errors import OtadError, Rejected, RetryLater, Who
from otad.fetch.faults import NETWORK, explain, retry_after
from otad.report import Batch

SCHEMA = 1
_UNACCEPTABLE = {400, 413, 422}
_WORDS = 1024  # bytes of the server's answer that are kept as evidence


class HttpSink:
    """Posts to `url` for `device`. `session` holds the TLS settings and belongs to the caller; `timeout` in seconds."""

    name = "http"

    def __init__(self, session: aiohttp.ClientSession, url: str, device: str, timeout: float) -> None:
        self._session = session
        self._url = url
        self._device = device
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def send(self, batch: Batch) -> None:
        """See Sink."""
        try:
            async with self._session.post(
                self._url,
                data=_body(self._device, batch),
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status // 100 != 2:  # noqa: PLR2004  # the class of an HTTP status
                    raise _refused(answer, await answer.content.read(_WORDS))
        except NETWORK as error:
            cause = explain(error, self._url).cause
            remedy = "Nothing to do: the events are kept. If it lasts, check report.url and report.ca"
            raise RetryLater(cause.code, f"events cannot be sent: {cause.what}", remedy, evidence=cause.evidence) from error


def _body(device: str, batch: Batch) -> bytes:
    """The events stand in it as they were stored, byte for byte."""
    head = f'{{"schema":{SCHEMA},"device":{json.dumps(device)},"lost":{batch.lost},"events":['
    return (head + ",".join(batch.events) + "]}").encode()


def _refused(answer: aiohttp.ClientResponse, words: bytes) -> OtadError:
    evidence = {"url": str(answer.url), "status": str(answer.status), "answer": words.decode(errors="replace")}
    if answer.status in _UNACCEPTABLE:
        what = f"{answer.url.host} does not take these events (HTTP {answer.status})"
        return Rejected("report-rejected", what, "Read the server's log", who=Who.INTEGRATOR, evidence=evidence)
    return RetryLater(
        "report-refused",
        f"{answer.url.host} does not take events now (HTTP {answer.status})",
        "Nothing to do: the events are kept. If it lasts, check report.url and the server's log",
        evidence=evidence,
        retry_after=retry_after(answer.headers),
    )
