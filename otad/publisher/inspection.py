"""Files of a place, read one after another, and what was found wrong with them.

Rules:
 1. A web server's cache headers are looked at on every answer.
 2. A few files are read at once, no more: it is somebody's server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from otad.publisher.caching import ABSENT, complaint
from otad.publisher.encode import Progress, quiet
from otad.publisher.place import Place, Reply

AT_ONCE = 8  # files
OK = 200


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with one file."""

    path: str
    what: str


@dataclass(frozen=True)
class Part:
    """What was looked at: one role's metadata, or `files` of a kind."""

    name: str
    version: int | None = None
    signatures: str = ""
    expires: datetime | None = None
    files: int = 1
    bytes: int = 0


@dataclass
class Report:
    """What there is, and what is wrong with it."""

    place: str
    parts: list[Part] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Inspection:
    """Reads files of `place`; `report` grows. `progress` is told by who knows how much there is."""

    def __init__(self, place: Place, progress: Progress = quiet) -> None:
        self.place = place
        self.progress = progress
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.report = Report(place.name)

    async def each(self, paths: Sequence[str], look: Callable[[str], Awaitable[None]]) -> None:
        """Have a look at each path, a few at once."""

        async def one(path: str) -> None:
            async with self._slots:
                await look(path)

        await asyncio.gather(*(one(path) for path in paths))

    async def get(self, path: str, *, may_lack: bool = False, came: Callable[[int], None] = lambda _: None) -> Reply | None:
        """What is at `path`; None, and a finding unless it may lack, when there is nothing."""
        reply = await self.place.get(path, came=came)
        if reply.headers is not None and (wrong := complaint(path, reply.status, reply.headers)):
            self.find(path, wrong)
        if reply.status == OK:
            return reply
        if not (may_lack and reply.status in ABSENT):
            self.find(path, "is not there" if reply.status in ABSENT else f"the server answers {reply.status}")
        return None

    def is_signed(self, path: str, reply: Reply, sha256: str, length: int) -> bool:
        """Whether it came as it was signed; a finding if not."""
        right = (reply.sha256, reply.length) == (sha256, length)
        if not right:
            self.find(path, f"is not what was signed: {reply.length} bytes of {length}, SHA-256 {reply.sha256[:12]}")
        return right

    def find(self, path: str, *what: str) -> None:
        """Keep what is wrong with the file at `path`."""
        self.report.findings += [Finding(path, one) for one in what]
