"""A device that is started anew for each `repository()`: only its folder and its image's anchor last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp

from otad.trust.client import Repository
from otad.trust.clock import Clock
from otad.trust.http import HttpFetch
from otad.trust.store import Store
from tests.support.tuf_repository import NOW


@dataclass
class Device:
    data: Path
    anchor: Path
    url: str
    session: aiohttp.ClientSession
    time: datetime = NOW
    synchronised: bool = True
    build: datetime = NOW
    total: float = 30

    @property
    def store(self) -> Store:
        return Store(self.data, self.anchor)

    def repository(self, channel: str = "stable") -> Repository:
        clock = Clock(self.build, lambda: self.synchronised, lambda: self.time)
        http = HttpFetch(self.session, self.url, total=self.total)
        return Repository(http, self.store, clock, product="cam", channel=channel)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_file()}
