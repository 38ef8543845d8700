"""Where published files are read: a folder, or a web server as a device meets it.

Rules:
 1. A file is read once, as a stream: its hash and length are of what came. Only what is small enough is kept in memory.
 2. Over HTTPS nothing is decompressed and nothing cached on the way: what is seen is what the server sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from otad.errors import OtadError, Rejected, Who

KEPT = 32 << 20  # bytes of a file that are kept; metadata and documents are far below
PIECE = 1 << 20
PARTIAL = 206
QUIET = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)  # seconds


@dataclass(frozen=True)
class Reply:
    """What came for one file. `data` is empty when it was longer than KEPT; `headers` is None for a folder."""

    status: int
    sha256: str
    length: int
    data: bytes
    headers: Mapping[str, str] | None = None


class Place(Protocol):
    """Published files."""

    @property
    def name(self) -> str:
        """For people."""

    async def get(self, path: str, came: Callable[[int], None] = lambda _: None) -> Reply:
        """Read `path`; `came` is called with the number of bytes of each piece."""

    async def no_ranges(self, path: str) -> tuple[str, ...]:
        """Why a download of `path` that was cut could not go on where it ended; nothing when it could."""


@dataclass(frozen=True)
class Folder:
    """A published folder on this machine."""

    root: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.root)

    async def get(self, path: str, came: Callable[[int], None] = lambda _: None) -> Reply:
        """As `Place`. Raises OtadError("verify-unreadable")."""
        taken = _Taken()
        try:
            with (self.root / path).open("rb") as file:
                while piece := file.read(PIECE):
                    taken.add(piece)
                    came(len(piece))
        except (FileNotFoundError, NotADirectoryError):
            return taken.reply(404)
        except OSError as error:
            raise OtadError(
                "verify-unreadable", f"cannot read {self.root / path}: {error.strerror}", who=Who.INTEGRATOR
            ) from error
        return taken.reply(200)

    async def no_ranges(self, path: str) -> tuple[str, ...]:  # noqa: ARG002  nobody downloads from a folder
        """As `Place`."""
        return ()


@dataclass(frozen=True)
class Web:
    """A web server. `base` ends with a slash."""

    session: aiohttp.ClientSession
    base: str

    @property
    def name(self) -> str:
        """Its URL."""
        return self.base

    async def get(self, path: str, came: Callable[[int], None] = lambda _: None) -> Reply:
        """As `Place`. Raises OtadError("verify-unreachable")."""
        return await self._get(path, {}, came)

    async def no_ranges(self, path: str) -> tuple[str, ...]:
        """As `Place`. Raises OtadError("verify-unreachable")."""
        reply = await self._get(path, {"Range": "bytes=1-2"}, lambda _: None)
        if (reply.status, reply.length) == (PARTIAL, 2):
            return ()
        return (f"two bytes were asked for, {reply.length} came (status {reply.status}): downloads cannot resume",)

    async def _get(self, path: str, headers: Mapping[str, str], came: Callable[[int], None]) -> Reply:
        taken = _Taken()
        try:
            async with self.session.get(f"{self.base}{path}", headers=headers) as response:
                async for piece in response.content.iter_chunked(PIECE):
                    taken.add(piece)
                    came(len(piece))
                return taken.reply(response.status, response.headers)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            what = f"cannot read {self.base}{path}: {error or type(error).__name__}"
            raise OtadError("verify-unreachable", what, "Check the address, and --ca", who=Who.INTEGRATOR) from error


@dataclass
class _Taken:
    """What came so far."""

    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    length: int = 0
    kept: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> None:
        self.digest.update(piece)
        self.length += len(piece)
        if self.length <= KEPT:
            self.kept.append(piece)

    def reply(self, status: int, headers: Mapping[str, str] | None = None) -> Reply:
        data = b"".join(self.kept) if self.length <= KEPT else b""
        return Reply(status, self.digest.hexdigest(), self.length, data, headers)


@asynccontextmanager
async def web(url: str, authority: Path | None = None) -> AsyncIterator[Web]:
    """The server at `url`; `authority` is what it is certified by, else the system's. Raises Rejected("verify-address")."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname or "")):
        what = f"devices do not read {url}: they take HTTPS only"
        raise Rejected("verify-address", what, "Give the address that devices have, with https://", who=Who.INTEGRATOR)
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # default since Python 3.13; a device is not so strict
    headers = {"Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=QUIET, auto_decompress=False) as session:
        yield Web(session, url.rstrip("/") + "/")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
