"""What a network, a TLS handshake or a server can do to us, said so that someone can act on it.

Rules:
 1. `explain` takes what aiohttp, ssl and sockets raise (`NETWORK`); `refuse` takes an HTTP status that is not wanted.
 2. All of it is RetryLater: a link or a server says nothing about whether a release is good. What the server does not have is
    NotServed: something else may be there.
 3. Who must act decides: a cause for NOBODY is worth another try at once (retry.py), any other waits for the next check.
 4. A server's own time is trusted for waiting: Retry-After with a date is counted from the answer's Date, because this
    device's clock may be wrong. It is trusted for a day at most: a wrong server must not silence a device for ever.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from otad.errors import NotServed, RetryLater, Who

NETWORK = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What a request may raise. Catch these around the network only: a full disk is an OSError too."""


class _Words(NamedTuple):
    """What is said; {host}, {url}, {clock}, {status} and {detail} are filled in."""

    code: str
    what: str
    remedy: str = "Nothing to do: it is tried again by itself"
    who: Who = Who.NOBODY


_TLS_NOT_YET = _Words(
    "tls-not-yet-valid",
    "the certificate of {host} is not valid yet by this device's clock, which says {clock}",
    "Correct the clock (timedatectl), or the certificate's dates",
    Who.FIELD,
)
_TLS_EXPIRED = _Words(
    "tls-expired",
    "the certificate of {host} has expired by this device's clock, which says {clock}",
    "If the clock is right, renew the server's certificate; if not, correct the clock (timedatectl)",
    Who.INTEGRATOR,
)
_TLS_CA = _Words(
    "tls-unknown-ca",
    "the certificate of {host} is not signed by an authority that this device trusts: {detail}",
    "Set repository.ca to the PEM file of the authority that signed it, or have the server certified by one that is trusted",
    Who.FIELD,
)
_TLS_NAME = _Words(
    "tls-wrong-name",
    "the server that answers for {host} has a certificate for another name: {detail}",
    "Check repository.url, or give the server a certificate that names {host}",
    Who.FIELD,
)
_TLS_OTHER = _Words(
    "tls-failed",
    "no secure connection to {host}: {detail}",
    "It is tried again; if it lasts, check that the server offers TLS 1.2 or later, and what stands between it and us",
)
# OpenSSL's X509_V_ERR_* (include/openssl/x509_vfy.h), as ssl.SSLCertVerificationError.verify_code
_TLS = {9: _TLS_NOT_YET, 10: _TLS_EXPIRED, 62: _TLS_NAME, 64: _TLS_NAME} | dict.fromkeys((2, 18, 19, 20, 21), _TLS_CA)

_DNS = _Words(
    "dns-failed",
    "the name in {host} cannot be resolved: {detail}",
    "It is tried again; if it lasts, check link and DNS (resolvectl)",
)
_REDIRECT = _Words(
    "redirect-refused",
    "{url} redirects to where it is not followed: {detail}",
    "Set repository.url to the final address",
    Who.INTEGRATOR,
)
_URL = _Words("url-invalid", "{url} cannot be asked for: {detail}", "Correct repository.url", Who.FIELD)
_TIMEOUT = _Words("timeout", "{host} does not answer in time")
_REFUSED = _Words(
    "connection-refused",
    "{host} refuses the connection",
    "It is tried again; if it lasts, check repository.url and that the server runs",
)
_UNREACHABLE = _Words(
    "link-down", "{host} cannot be reached: {detail}", "It is tried again; if it lasts, check the device's link"
)
_LOST = _Words("connection-lost", "the connection to {host} broke off: {detail}")
_OTHER = _Words("link-failed", "{url} cannot be fetched: {detail}")

_BY_ERRNO = {errno.ETIMEDOUT: _TIMEOUT, errno.ECONNREFUSED: _REFUSED} | dict.fromkeys(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL), _UNREACHABLE
)
_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], _Words], ...] = (  # the first that fits: many are several kinds at once
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), _DNS),
    ((aiohttp.RedirectClientError, aiohttp.TooManyRedirects), _REDIRECT),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), _URL),
    ((asyncio.TimeoutError,), _TIMEOUT),
    ((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError), _LOST),
    ((BaseException,), _OTHER),
)

_ABSENT = _Words("not-found", "{host} does not have {url} (HTTP {status})", "Publish it, or check repository.url", Who.INTEGRATOR)
_FORBIDDEN = _Words(
    "forbidden",
    "{host} does not let this device have {url} (HTTP {status})",
    "Check the server's access rules, and whether it wants a client certificate",
    Who.INTEGRATOR,
)
_BUSY = _Words("server-busy", "{host} cannot serve {url} now (HTTP {status}{detail})")
_STATUS = _Words(
    "http-status", "{host} answers HTTP {status} for {url}", "Check repository.url and the server's log", Who.INTEGRATOR
)
_BY_STATUS = {404: _ABSENT, 410: _ABSENT, 408: _BUSY, 425: _BUSY, 429: _BUSY} | dict.fromkeys((400, 401, 403, 407), _FORBIDDEN)
_SERVER_ERROR = 500  # and above: RFC 9110, section 15.6
LONGEST = 86400.0
"""Seconds that a server may ask for at most."""


def explain(error: BaseException, url: str) -> RetryLater:
    """The RetryLater for `error`, one of NETWORK, raised while `url` was asked for."""
    detail = _detail(error)
    return _said(_words(error), url, {"error": detail}, detail=detail)


def refuse(status: int, headers: Mapping[str, str], url: str) -> RetryLater:
    """The RetryLater for an answer with `status` that was not asked for, with the server's Retry-After in seconds."""
    wait = retry_after(headers)
    asked = f", asks to come back in {wait:.0f} s" if wait is not None else ""
    words = _BY_STATUS.get(status, _BUSY if status >= _SERVER_ERROR else _STATUS)
    kind = NotServed if words is _ABSENT else RetryLater
    return _said(words, url, {"status": str(status)}, kind, detail=asked, status=status, wait=wait)


def _said(
    words: _Words,
    url: str,
    evidence: Mapping[str, str],
    kind: type[RetryLater] = RetryLater,
    *,
    detail: str,
    status: int = 0,
    wait: float | None = None,
) -> RetryLater:
    clock = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    known = {"host": host(url), "url": url, "clock": clock, "status": status, "detail": detail}
    return kind(
        words.code,
        words.what.format(**known),
        words.remedy.format(**known),
        who=words.who,
        evidence={"url": url, **evidence},
        retry_after=wait,
    )


def _words(error: BaseException) -> _Words:
    if isinstance(error, ssl.SSLError):
        return _TLS.get(getattr(getattr(error, "certificate_error", error), "verify_code", -1), _TLS_OTHER)
    number = error.errno if isinstance(error, OSError) else None
    by_type = next(words for types, words in _BY_TYPE if isinstance(error, types))
    return by_type if number is None or by_type is _DNS else _BY_ERRNO.get(number, by_type)


def _detail(error: BaseException) -> str:
    """The innermost words that the libraries give, never empty."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    said = getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or str(inner)
    return str(said or type(error).__name__)[:4096]


def host(url: str) -> str:
    """Host and port of `url`, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date), above 0 and at most LONGEST.

    None when it is absent, not understood, or names no time to wait: the caller's own patience counts then.
    """
    wait = _named(headers.get("Retry-After", "").strip(), headers.get("Date", ""))
    return min(wait, LONGEST) if wait > 0 else None


def _named(value: str, answered: str) -> float:
    if value.isascii() and value.isdigit():
        return float(value)  # infinite for some hundreds of digits
    due = _date(value)
    now = _date(answered) or datetime.now(timezone.utc)
    return (due - now).total_seconds() if due else 0.0


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the second for a number that no C int holds
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
