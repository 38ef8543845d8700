"""The server for trying things: TLS that a client can check, ranges, and the cache headers of a real one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession, TCPConnector

from otad.publisher import serve, tls
from tests.support.published import NOW

BLOB = bytes(range(256)) * 100


@pytest.fixture
def out(tmp_path: Path) -> Path:
    public = tmp_path / "public"
    for folder in ("metadata", "blobs", "targets/rollouts"):
        (public / folder).mkdir(parents=True)
    (public / "metadata" / "timestamp.json").write_text("{}")
    (public / "metadata" / "1.root.json").write_text("{}")
    (public / "blobs" / "aa").write_bytes(BLOB)
    (public / "targets" / "rollouts" / "bb.stable.json").write_text("{}")
    (public / ".otarepo.lock").write_text("secret")
    (tmp_path / "private").write_text("secret")
    (public / "blobs" / "escape").symlink_to(tmp_path / "private")
    return public


@pytest.fixture
async def client(out: Path, tmp_path: Path) -> AsyncIterator[ClientSession]:
    made = tls.made(tmp_path / "tls", now=NOW)
    assert made.ca is not None
    trusted = ssl.create_default_context(cafile=str(made.ca))
    async with serve.running(out, made) as url, ClientSession(url, connector=TCPConnector(ssl=trusted)) as session:
        yield session


async def test_parts_can_be_asked_for(client: ClientSession) -> None:
    async with client.get("/blobs/aa", headers={"Range": "bytes=100-199"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes 100-199/{len(BLOB)}")
        assert await answer.read() == BLOB[100:200]
        tag = answer.headers["ETag"]
    async with client.get("/blobs/aa", headers={"Range": "bytes=25000-", "If-Range": tag}) as answer:
        assert (answer.status, await answer.read()) == (206, BLOB[25000:])
    async with client.get("/blobs/aa", headers={"Range": f"bytes={len(BLOB)}-"}) as answer:
        assert answer.status == 416


@pytest.mark.parametrize(
    ("path", "status", "cache"),
    [
        ("/metadata/timestamp.json", 200, "no-cache"),
        ("/metadata/1.root.json", 200, "public, max-age=31536000, immutable"),
        ("/targets/rollouts/bb.stable.json", 200, "public, max-age=31536000, immutable"),
        ("/blobs/aa", 200, "public, max-age=31536000, immutable"),
        ("/metadata/2.root.json", 404, "public, max-age=60"),
        ("/blobs/", 404, "public, max-age=60"),
    ],
)
async def test_caches_are_told(client: ClientSession, path: str, status: int, cache: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (status, cache)


@pytest.mark.parametrize(
    "path", ["/.otarepo.lock", "/../private", "/blobs/../../private", "/blobs/%2e%2e/%2e%2e/private", "/blobs/escape", "/"]
)
async def test_nothing_else_is_served(client: ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404
        assert "secret" not in await answer.text()


async def test_a_client_that_does_not_know_the_authority_refuses(out: Path, tmp_path: Path) -> None:
    async with serve.running(out, tls.made(tmp_path / "tls", now=NOW)) as url, ClientSession() as session:
        with pytest.raises(ClientConnectorCertificateError):
            await session.get(url)


def test_a_certificate_is_used_again_while_it_serves(tmp_path: Path) -> None:
    made = tls.made(tmp_path, now=NOW)
    assert made.ca is not None
    first = made.ca.read_bytes()
    tls.made(tmp_path, now=NOW + timedelta(days=28))
    assert made.ca.read_bytes() == first
    tls.made(tmp_path, ("10.0.0.1", *tls.LOCAL), now=NOW)
    second = made.ca.read_bytes()
    assert second != first
    tls.made(tmp_path, now=NOW + timedelta(days=29))
    assert made.ca.read_bytes() != second
