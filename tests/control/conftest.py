from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from otad import config
from otad.control.listener import NAME
from otad.control.server import Server
from tests.control.fake_desk import FakeDesk


@pytest_asyncio.fixture
async def desk() -> FakeDesk:
    return FakeDesk()


@pytest_asyncio.fixture
async def server(desk: FakeDesk, tmp_path: Path) -> AsyncIterator[Server]:
    served = Server(desk, config.Daemon(), tmp_path / "run" / NAME)
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture
async def http(server: Server, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(tmp_path / "run" / NAME))
    async with aiohttp.ClientSession("http://otad", connector=connector) as session:
        yield session
