from __future__ import annotations

import asyncio
import errno
import socket

import aiohttp
import pytest

from otad.errors import NotServed, Who
from otad.fetch import faults

URL = "https://updates.example:8443/metadata/timestamp.json"


@pytest.mark.parametrize(
    ("error", "code", "who"),
    [
        (asyncio.TimeoutError(), "timeout", Who.NOBODY),
        (aiohttp.ConnectionTimeoutError("x"), "timeout", Who.NOBODY),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "connection-refused", Who.NOBODY),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "link-down", Who.NOBODY),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns-failed", Who.NOBODY),
        (aiohttp.ServerDisconnectedError(), "connection-lost", Who.NOBODY),
        (aiohttp.ClientPayloadError("short"), "connection-lost", Who.NOBODY),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "connection-lost", Who.NOBODY),
        (aiohttp.InvalidURL("x"), "url-invalid", Who.FIELD),
    ],
)
def test_what_sockets_and_aiohttp_raise(error: BaseException, code: str, who: Who) -> None:
    found = faults.explain(error, URL)
    assert (found.cause.code, found.cause.who) == (code, who)
    assert "updates.example:8443" in found.cause.what
    assert found.cause.remedy
    assert found.cause.evidence["url"] == URL


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not-found"),
        (403, "forbidden"),
        (400, "forbidden"),
        (500, "server-busy"),
        (429, "server-busy"),
        (304, "http-status"),
    ],
)
def test_statuses(status: int, code: str) -> None:
    found = faults.refuse(status, {}, URL)
    assert found.cause.code == code
    assert isinstance(found, NotServed) == (status == 404)
    assert str(status) in found.cause.what
    assert URL in found.cause.what


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        # counted from the server's own clock: ours may be years off
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"Retry-After": "0"}, None),  # no time at all: our own patience counts
        # a day at most, whatever it says
        ({"Retry-After": "86401"}, 86400),
        ({"Retry-After": "9" * 400}, 86400),
        ({"Retry-After": "9" * 8000}, 86400),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359", "Date": "Mon, 01 Jan 0001 00:00:00 +2359"}, 86400),
        ({"Retry-After": "Wed, 21 Oct 99999 07:28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 " + "9" * 30 + ":28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 +" + "9" * 20}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert faults.retry_after(headers) == seconds
    assert faults.refuse(503, headers, URL).retry_after == seconds


def test_a_url_with_braces_is_only_text() -> None:
    assert "{host}" in faults.refuse(404, {}, "https://h/{host}").cause.what
