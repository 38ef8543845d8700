from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from otad import config
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.fetch.session import open_session
from otad.formats.encodings import Encoding
from tests.support import certs, nginx

SETTINGS = config.Download(retries=4, backoff=0, reserve=0)


def encoding_of(data: bytes) -> Encoding:
    return Encoding(type="plain", blob=hashlib.sha256(data).hexdigest(), length=len(data))


def blob(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@asynccontextmanager
async def downloading(
    url: str, cache: Cache, *, ca: Path | None = None, settings: config.Download = SETTINGS, dates: bool = True
) -> AsyncIterator[Download]:
    repository = config.Repository(url=url, ca=ca, development=True)
    async with open_session(repository, dates=lambda: dates, timeout=20, agent="otad-test") as session:
        yield Download(session, url, cache, settings, random.Random(0))


class Seen:
    """A progress callback that remembers, and may act at a given byte."""

    def __init__(self, at: int | None = None, act: Callable[[], object] = lambda: None) -> None:
        self.calls: list[tuple[int, int]] = []
        self._at = at
        self._act = act

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))
        if self._at is not None and done >= self._at:
            self._at = None
            self._act()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "updates", 0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    return certs.Authority.make(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, authority: certs.Authority) -> Iterator[nginx.Nginx]:
    """A real nginx over TLS; put blobs under `root`/blobs."""
    reason = nginx.why_not()
    if reason:
        pytest.skip(reason)
    work = tmp_path_factory.mktemp("nginx")
    root = work / "root"
    (root / "blobs").mkdir(parents=True)
    with nginx.serve(root, work, authority.certify(work / "server.pem")) as running:
        yield running
