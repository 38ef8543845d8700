"""How the repository is reached: one aiohttp session with everything about trust and time-outs decided.

Rules:
 1. TLS 1.2 or later; the chain and the host name are always checked, the dates only when the clock can be believed. That is
    asked as each connection is made: a clock is often set after the daemon has started.
 2. Bytes are taken as they travel (no content coding), so that ranges, lengths and hashes mean the same on both sides.
 3. A redirect is followed to https or within the same origin, nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from yarl import URL

from otad.config import Repository
from otad.errors import ConfigError, RetryLater, Who

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (OpenSSL, include/openssl/x509_vfy.h); Python's ssl has no name for it."""

_READ_BUFFER = 256 * 1024  # bytes; aiohttp stops reading at twice that, and drops what is unread when the connection breaks


def open_session(repository: Repository, *, dates: Callable[[], bool], timeout: float, agent: str) -> aiohttp.ClientSession:
    """A session for absolute URLs under `repository.url`. Needs a running loop; the caller closes it.

    Args:
        repository: where it is and who may certify it.
        dates: asked for each connection, whether certificates' dates are checked; False while the clock is not synchronised.
        timeout: seconds without a connection or a byte after which the request fails; there is no limit on the whole.
        agent: the User-Agent.

    Raises:
        ConfigError: "ca-unusable", the CA file cannot be read or holds no certificate.
    """
    context = tls_context(repository)

    async def connecting(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
        context.verify_flags = (context.verify_flags & ~NO_CHECK_TIME) | (0 if dates() else NO_CHECK_TIME)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(connecting)
    trace.on_request_redirect.append(_on_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context),
        headers={"User-Agent": agent, "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, connect=timeout, sock_connect=timeout, sock_read=timeout),
        auto_decompress=False,
        read_bufsize=_READ_BUFFER,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )


def tls_context(repository: Repository) -> ssl.SSLContext:
    """What a server must show, its certificates' dates among it: see rule 1. Raises as `open_session`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # chain and host name are checked by default
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if repository.ca is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(repository.ca)
    except OSError as error:  # ssl.SSLError too
        raise _unusable(repository, error) from error
    return context


def _unusable(repository: Repository, error: OSError) -> ConfigError:
    return ConfigError(
        "ca-unusable",
        f"cannot use {repository.ca} to check the server of {repository.url}: {error.strerror or error}",
        "Let `ca` of this server name a readable PEM file of certificates, or remove it to use the system's",
        who=Who.FIELD,
        evidence={"ca": str(repository.ca)},
    )


async def _on_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    here = params.response.url
    location = params.response.headers.get("Location", "")
    if _may_follow(here, location):
        return
    params.response.close()
    raise RetryLater(
        "redirect-refused",
        f"{here} redirects to {location!r}, which is neither https nor on the same server",
        "Set repository.url to the final address, and serve it with https",
        who=Who.INTEGRATOR,
        evidence={"url": str(here), "location": location},
    )


def _may_follow(here: URL, location: str) -> bool:
    try:
        there = here.join(URL(location))
        return there.scheme == "https" or there.origin() == here.origin()
    except ValueError:
        return False
