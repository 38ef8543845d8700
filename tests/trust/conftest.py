from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from otad import config
from otad.fetch.session import open_session
from tests.support.trust_device import Device
from tests.support.tuf_repository import TufRepository, TufServer


@pytest.fixture
def repo() -> TufRepository:
    return TufRepository()


@pytest.fixture
async def server(repo: TufRepository) -> AsyncIterator[TufServer]:
    found = TufServer(repo)
    runner = await found.start()
    yield found
    await runner.cleanup()


@pytest.fixture
async def session(server: TufServer) -> AsyncIterator[aiohttp.ClientSession]:
    where = config.Repository(url=server.url, development=True)
    async with open_session(where, dates=lambda: True, timeout=10, agent="otad") as found:
        yield found


@pytest.fixture
def device(tmp_path: Path, repo: TufRepository, server: TufServer, session: aiohttp.ClientSession) -> Device:
    anchor = tmp_path / "root.json"
    anchor.write_bytes(repo.anchor)
    return Device(tmp_path / "trust", anchor, server.url, session)
